"""Switches of one coin and of all beside each other: lists, pages and banners say what holds, by whom and why."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from counter.models import TradingStatus, TradingStatusChange, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.trading.resume_requests import ask_for_resuming
from counter.trading.switches import State, newest_id, standing_change, throw
from counter.trading.taking_back import first_to_take_back, take_back
from tests.support.cockpit import first_page
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(databases=["default", "desk"])

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
GO_ON, OPENS, BOTH = (
    "opens and closes go on",
    "opens are stopped, closing goes on",
    "opens and closes are stopped",
)


@pytest.fixture
def ann():
    return staff("ann", role="operator")


@pytest.fixture
def carl():
    return staff("carl", role="approver")


def stopped(underlying, to=State.OPENS_STOPPED, *, by="ann", reason="a slip", ago=0):
    throw(underlying=underlying, to=to, reason=reason, by=by, now=timezone.now() - timedelta(seconds=ago))
    return standing_change(underlying)


def address(name, underlying):
    return reverse(
        f"admin:counter_tradingswitch_{name}", args=[TradingSwitch.objects.get(underlying=underlying).pk]
    )


def text_of(part):
    return re.sub(r"\s+([:.,])", r"\1", " ".join(unescape(re.sub(r"<[^>]+>", " ", part)).split()))


def sections(client, url, **query):
    """A page's sections by their names, as text."""
    answer = client.get(url, query)
    assert answer.status_code == 200
    parts = re.split(r'<section[^>]*aria-label="([^"]+)">', answer.content.decode())[1:]
    return {
        name: text_of(part.split("</section>")[0]) for name, part in zip(parts[::2], parts[1::2], strict=True)
    }


def rows(client, url=None):
    """Each switch's row of a list, as text, and whether it is marked."""
    page = client.get(url or reverse("admin:counter_tradingswitch_changelist")).content.decode()
    table = page.split('<table class="cockpit-switches">')[1].split("</table>")[0]
    found = re.findall(r'<tr class="([^"]*)">(.*?)</tr>', table, re.DOTALL)
    return [(mark, text_of(row)) for mark, row in found]


def banner(client, door, underlying, **form):
    answer = client.post(address(door, underlying), form, follow=True)
    return [(message.level_tag, str(message)) for message in answer.context["messages"]]


# --- the list -------------------------------------------------------------------------------------------------------


def test_the_list_says_what_holds_while_all_coins_are_stopped(ann):
    stopped(ALL_COINS, by="bob", reason="the index")
    now = timezone.now()
    TradingStatus.objects.filter(underlying="ETH").update(
        state="WIDE", reasons=["exposure"], judged_at=now, since=now
    )
    every, btc, eth = rows(ann)
    assert [row[0] for row in (every, btc, eth)] == ["is-halted"] * 3
    assert re.match(rf"all coins {OPENS} by bob, since {TIME}: the index stopped: undo…$", every[1])
    assert re.match(
        rf"BTC {OPENS}, by the switch of all coins by bob, since {TIME}: the index stop opens… stop opens and closes…$",
        btc[1],
    )
    assert (
        f"ETH {OPENS}, by the switch of all coins; its circuit breaker restricts it too (exposure)" in eth[1]
    )
    assert rows(ann) == rows(ann, "/admin/"), "the first page shows the same"


def test_a_switch_that_was_never_thrown_has_no_since(ann):
    assert rows(ann)[1] == ("", f"BTC {GO_ON} never thrown stop opens… stop opens and closes…")
    csv = b"".join(ann.get(reverse("admin:counter_tradingswitch_csv")).streaming_content).decode()
    assert f"BTC,{GO_ON},never,," in csv


def test_the_exception_of_all_coins_is_named_in_their_row(ann):
    stopped("ETH", State.ALL_STOPPED, by="bob")
    own = rf"ETH: by bob, since {TIME}: a slip"
    assert re.match(rf"all coins {GO_ON}, except ETH {own} stop opens…", rows(ann)[0][1])
    every = stopped(ALL_COINS, reason="the index")
    both = rf"all coins {OPENS}, except ETH by ann, since {TIME}: the index {own} stopped: take back"
    assert re.match(both, rows(ann)[0][1])
    take_back(stop_id=every.pk, reason="all is fine", by="ann", now=timezone.now())
    assert "all is fine" not in rows(ann)[0][1]


def test_a_coins_row_under_both_stops_has_each_with_its_own_person_and_reason(ann):
    stopped("ETH", by="bob", reason="its marks")
    stopped(ALL_COINS, State.ALL_STOPPED, by="dan", reason="the desk")
    assert re.match(
        rf"ETH {BOTH}, by the switch of all coins by dan, since {TIME}: the desk "
        rf"its own stop of opens: by bob, since {TIME}: its marks stopped: undo…",
        rows(ann)[2][1],
    )
    assert rows(ann) == rows(ann, "/admin/")


def test_before_there_are_switches_the_list_says_so_and_the_first_page_nothing():
    viewer = staff("vera", role="viewer")
    page = viewer.get(reverse("admin:counter_tradingswitch_changelist")).content.decode()
    assert "There are no kill switches yet." in page
    assert 'aria-label="Kill switch"' not in viewer.get("/admin/").content.decode()


# --- a coin's page --------------------------------------------------------------------------------------------------


def test_a_coins_page_tells_each_stop_with_its_own_person_the_one_that_rules_first(ann):
    stopped("ETH", by="bob", reason="its marks")
    stopped(ALL_COINS, State.ALL_STOPPED, by="dan", reason="the desk")
    answer = ann.get(address("change", "ETH"))
    assert "<title>ETH |" in re.sub(r"\s+", " ", answer.content.decode()).replace("<title> ", "<title>")
    assert re.match(
        rf"ETH: {BOTH}, by the switch of all coins The switch of all coins: {BOTH}\. Since {TIME}, by dan: the desk "
        rf"This switch: {OPENS}\. Since {TIME}, by bob: its marks Customers now",
        sections(ann, address("change", "ETH"))["State"],
    )


def test_a_coin_that_all_coins_switch_stops_does_not_wear_its_own_last_throw(ann):
    stopped("ETH", by="bob")
    throw(underlying="ETH", to=State.RUNNING, reason="agreed", by="carl", now=timezone.now())
    stopped(ALL_COINS, by="dan", reason="the desk")
    assert re.match(
        rf"ETH: {OPENS}, by the switch of all coins The switch of all coins: {OPENS}\. Since {TIME}, by dan: the desk "
        rf"This switch stops nothing: since {TIME}, by carl: agreed\. What stops ETH is undone on the page of "
        r"the switch of all coins\.",
        sections(ann, address("change", "ETH"))["State"],
    )


def test_the_page_of_all_coins_names_a_coins_own_stop(ann):
    stopped("ETH", by="bob", reason="its marks")
    ann.get("/admin/")
    assert re.match(
        rf"All coins: {GO_ON}, except ETH The switch of ETH: {OPENS}\. Since {TIME}, by bob: its marks "
        r"This switch stops nothing: it was never thrown\. What stops ETH is undone on the page of its switch\.",
        sections(ann, address("change", ALL_COINS))["State"],
    )


# --- what stays stopped ---------------------------------------------------------------------------------------------


def test_taking_back_all_coins_promises_nothing_of_a_coin_that_stays_stopped(ann):
    stopped("ETH", by="bob", reason="its marks")
    stop = stopped(ALL_COINS)
    undo = sections(ann, address("change", ALL_COINS))["Undo it"]
    assert f"Then this switch is as before ({GO_ON}), but another one stops trading all the same." in undo
    stays = rf"ETH stays stopped by its own switch, {OPENS}; by bob, since {TIME}: its marks"
    assert re.search(stays, undo)
    [(level, said)] = banner(ann, "take_back", ALL_COINS, stop=stop.pk, reason="r")
    assert level == "warning"
    assert re.fullmatch(rf"Taken back\. All coins: {GO_ON}, except ETH\. {stays}\.", said)


def test_resuming_a_coin_under_the_stop_of_all_says_that_nothing_resumes_yet(carl):
    stopped("BTC")
    stopped(ALL_COINS, by="dan", reason="the desk")
    page = sections(carl, address("confirm", "BTC"), state="RUNNING")
    assert page["Resumes"] == "This resumes Nothing yet: another switch stops it too."
    stays = rf"BTC stays stopped by the switch of all coins, {OPENS}; by dan, since {TIME}: the desk"
    assert re.search(stays, page["Stays stopped"])
    [(level, said)] = banner(carl, "throw", "BTC", state="RUNNING", after=newest_id("BTC"), reason="r")
    assert level == "warning"
    assert re.fullmatch(rf"Resumed\. {stays}\.", said)


def test_the_approver_sees_who_stopped_it_who_asks_and_what_alone_resumes(carl):
    stop = stopped("BTC", by="bob", reason="its marks")
    ask_for_resuming(change_id=stop.pk, reason="they are right", by="dan", now=timezone.now())
    page = sections(carl, address("confirm", "BTC"), state="RUNNING")
    assert re.match(
        rf"Now: {OPENS} Since {TIME}, by bob: its marks dan asked to resume, {TIME}: they are right",
        page["Stopped now"],
    )
    assert page["Resumes"] == "This resumes opening positions of BTC, by the API and on the trade page"
    stopped("BTC", State.ALL_STOPPED, by="bob")
    page = sections(carl, address("confirm", "BTC"), state="OPENS_STOPPED")
    assert re.match(r"This resumes closing positions of BTC, by 0 customers", page["Resumes"])
    assert "opening positions stays stopped, by this switch" in page["Stays stopped"]


def test_a_further_stop_lists_only_what_stops_anew(ann):
    stopped("BTC")
    page = sections(ann, address("confirm", "BTC"), state="ALL_STOPPED")
    assert re.fullmatch(
        r"This stops, for BTC closing positions of BTC, by 0 customers with 0 open positions \(0 contracts\)",
        page["Stops"],
    )
    stops = sections(ann, address("confirm", ALL_COINS), state="OPENS_STOPPED")["Stops"]
    assert "opening positions of ETH, by the API" in stops
    stopped(ALL_COINS, by="bob")
    stops = sections(ann, address("confirm", "ETH"), state="OPENS_STOPPED")["Stops"]
    assert "Nothing that is not stopped already" in stops


def test_the_page_before_a_stop_says_what_ends_the_right_to_take_it_back(ann):
    ann.get("/admin/")
    said = sections(ann, address("confirm", "BTC"), state="OPENS_STOPPED")["Do it"]
    assert "from the next orders on, in every process" in said
    assert "sooner when somebody else throws the switch of BTC or that of all coins" in said
    assert "BTC's circuit breaker widens or halts it" in said
    assert "if you stop all coins after it, not until the switch of all coins is taken back" in said
    said = sections(ann, address("confirm", ALL_COINS), state="OPENS_STOPPED")["Do it"]
    assert "if you stop a coin after it, not until the switch of that coin is taken back" in said


# --- taking back, in the right order --------------------------------------------------------------------------------


def test_an_own_stop_of_all_coins_is_taken_back_before_that_of_a_coin(ann):
    eth = stopped("ETH")
    every = stopped(ALL_COINS)
    undo = sections(ann, address("change", "ETH"))["Undo it"]
    assert re.search(
        r"You cannot take this stop back alone: you threw the switch of all coins after it, at \d\d:\d\d:\d\d UTC, "
        r"so not until the switch of all coins is taken back\.",
        undo,
    )
    assert "Take back your stop of all coins first: then you may take back this one too." in undo
    assert "take back all coins first…" in rows(ann)[2][1]
    banner(ann, "take_back", ALL_COINS, stop=every.pk, reason="r")
    assert "Take back: ETH" in sections(ann, address("change", "ETH"))["Undo it"]
    assert banner(ann, "take_back", "ETH", stop=eth.pk, reason="r") == [
        ("success", f"Taken back. ETH: {GO_ON}.")
    ]


@pytest.mark.parametrize("meanwhile", ["nothing", "another stop", "too late", "breaker"])
def test_nobody_is_sent_to_take_back_what_would_not_help(meanwhile):
    stop = stopped("ETH", ago=595 if meanwhile == "too late" else 60)
    if meanwhile == "another stop":
        throw(underlying="ETH", to=State.OPENS_STOPPED, reason="r", by="bob", now=timezone.now())
    every = stopped(ALL_COINS)
    now = timezone.now() + timedelta(seconds=10 if meanwhile == "too late" else 0)
    if meanwhile == "breaker":
        TradingStatusChange.objects.create(
            underlying="ETH", from_state="NORMAL", to_state="HALTED", spread_rate="0.02", at=now, by="feed"
        )
    first = first_to_take_back(stop, by="ann", now=now)
    assert first == (every if meanwhile == "nothing" else None)
    if first:
        take_back(stop_id=first.pk, reason="r", by="ann", now=now)
        assert take_back(stop_id=stop.pk, reason="r", by="ann", now=now)


def test_another_operator_is_told_who_can_take_it_back_and_until_when(ann):
    stopped("BTC", by="bob")
    undo = sections(ann, address("change", "BTC"))["Undo it"]
    assert re.search(r"bob can take it back alone until \d\d:\d\d:\d\d UTC\.", undo)
    throw(underlying="BTC", to=State.OPENS_STOPPED, reason="r", by="dan", now=timezone.now())
    assert "can take it back alone until" not in sections(ann, address("change", "BTC"))["Undo it"]


def test_the_first_page_says_until_when_a_stop_may_be_taken_back(ann):
    stopped("BTC", by="bob", ago=30)
    said = text_of(first_page(ann))
    assert re.search(r"bob may take it back until \d\d:\d\d:\d\d UTC, if nothing else happened; else", said)


def test_the_first_page_promises_nothing_once_the_time_is_over(ann):
    stopped("BTC", by="bob", ago=780)
    said = text_of(first_page(ann))
    assert "It stays until an approver resumes trading" in said
    assert "may take it back" not in said


def test_the_kill_switches_stand_above_what_comes_and_goes(ann):
    page = first_page(ann)
    assert 0 < page.index('aria-label="Kill switch"') < page.index('aria-label="Needs a human"')


# --- words ----------------------------------------------------------------------------------------------------------


def test_history_has_requests_and_says_resumed(ann):
    stop = stopped("BTC", by="bob")
    ask_for_resuming(change_id=stop.pk, reason="all well", by="ann", now=timezone.now())
    throw(underlying="BTC", to=State.RUNNING, reason="seen", by="carl", now=timezone.now())
    history = sections(ann, address("change", "BTC"))["History"]
    assert re.search(
        rf"resumed: {GO_ON} carl seen .* asked to resume ann all well .* {OPENS} bob a slip", history
    )


def test_throws_are_listed_in_words(ann):
    stop = stopped(ALL_COINS)
    take_back(stop_id=stop.pk, reason="r", by="ann", now=timezone.now())
    page = text_of(ann.get(reverse("admin:counter_tradingswitchchange_changelist")).content.decode())
    assert re.search(rf"all coins taken back: {GO_ON} r ann the stop of {TIME}", page)
    assert "OPENS_STOPPED" not in page
    assert str(TradingSwitchChange.objects.get(pk=stop.pk)) == "ann threw the switch of all coins"


@pytest.mark.parametrize("word", ["stop", "halt", "resume", "Kill"])
def test_the_search_of_the_menu_finds_the_switches(ann, word):
    found = ann.get(reverse("admin:search"), {"s": word}).content.decode()
    assert reverse("admin:counter_tradingswitch_changelist") in found


def test_who_may_not_see_the_switches_does_not_find_them():
    found = staff("eve").get(reverse("admin:search"), {"s": "halt"}).content.decode()
    assert reverse("admin:counter_tradingswitch_changelist") not in found


def test_pages_to_look_at_have_no_empty_history_and_lead_back_to_their_list(ann):
    stopped("BTC")
    change = standing_change("BTC")
    for url in (
        address("change", "BTC"),
        reverse("admin:counter_tradingswitchchange_change", args=[change.pk]),
    ):
        page = ann.get(url).content.decode()
        assert "/history/" not in page
        assert "Back to the list" in page
        assert not re.search(r">\s*Close\s*<", page)

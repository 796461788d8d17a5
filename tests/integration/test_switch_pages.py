"""What a switch's page says to whom, and its doors: taking back, asking for resuming, also at the console."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from counter.models import ResumeRequest, TradingStatus, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.trading.resume_requests import approvers, ask_for_resuming
from counter.trading.switches import State, SwitchRefused, standing_change, throw
from infra.console import console_user
from tests.support.cockpit import first_page
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(databases=["default", "desk"])


@pytest.fixture
def ann():
    return staff("ann", role="operator")


@pytest.fixture
def bob():
    return staff("bob", role="operator")


@pytest.fixture
def carl():
    return staff("carl", role="approver")


def stopped(by="ann", underlying="BTC", to=State.OPENS_STOPPED, *, ago=0, reason="a slip"):
    throw(underlying=underlying, to=to, reason=reason, by=by, now=timezone.now() - timedelta(seconds=ago))
    return standing_change(underlying).pk


def switch_of(underlying="BTC"):
    return TradingSwitch.objects.get(underlying=underlying)


def address(name, underlying="BTC"):
    return reverse(f"admin:counter_tradingswitch_{name}", args=[switch_of(underlying).pk])


def page(client, underlying="BTC"):
    """The page's sections by their names, as text."""
    answer = client.get(address("change", underlying))
    assert answer.status_code == 200
    parts = re.split(r'<section[^>]*aria-label="([^"]+)">', answer.content.decode())[1:]
    texts = [" ".join(re.sub(r"<[^>]+>", " ", part.split("</section>")[0]).split()) for part in parts[1::2]]
    return dict(zip(parts[::2], texts, strict=True))


def pressed(client, door, **form):
    """Status, what the page says then, and the switch's state."""
    answer = client.post(address(door), form, follow=True)
    said = [str(message) for message in answer.context["messages"]] if answer.context else []
    return answer.status_code, " ".join(said), switch_of().state


def test_who_stopped_it_is_told_how_to_take_it_back_and_does(ann):
    stop_id = stopped()
    seen = page(ann)
    assert re.search(r"BTC: opens are stopped, closing goes on Since .* UTC, by ann : a slip", seen["State"])
    undo = seen["Undo it"]
    assert re.search(r"take it back alone until \d\d:\d\d:\d\d UTC \. ", undo)
    assert "Then opens and closes go on, as before" in undo
    assert "Take back: BTC" in undo
    assert "Ask to resume" not in undo
    assert "Stop closes too" not in undo
    assert "Stop closes too…" in seen["Stop more"]
    assert "This undoes nothing" in seen["Stop more"]
    assert pressed(ann, "take_back", stop=stop_id, reason="not BTC") == (
        *(200, "Taken back. BTC: opens and closes go on.", "RUNNING"),
    )
    assert pressed(ann, "take_back", stop=stop_id, reason="not BTC")[1].startswith("Taken back already.")
    seen = page(ann)
    assert "Undo it" not in seen
    assert "taken back: opens and closes go on ann not BTC" in seen["History"]


def asks(client, shown, underlying="BTC"):
    """The answer to an open page that asks whether it is old, by the address that it was given."""
    [url] = re.findall(r'hx-get="([^"]+)" hx-trigger="every 5s"', shown)
    assert url.startswith(address("change", underlying))
    return client.get(url, headers={"HX-Request": "true"})


def opened(client, underlying="BTC"):
    return client.get(address("change", underlying)).content.decode()


def old_page(answer):
    """What stands in place of an old page, as text."""
    assert answer.status_code == 200
    text = answer.content.decode()
    assert '<div id="switch-banner" hx-swap-oob="true"></div>' in text, "its banner goes too"
    assert not re.search(r"<form|hx-get|is-halted", text), "nothing to do on it, and it asks no more"
    assert f'href="{address("change")}"' in text
    return " ".join(re.sub(r"<[^>]+>|{#.*#}", " ", text).split())


def test_an_open_page_of_a_stop_goes_whole_once_an_approver_resumed_it(ann, bob):
    stopped(ago=595)
    own, others = opened(ann), opened(bob)
    assert '<div id="switch-banner">' in own
    for client, shown in ((ann, own), (bob, others)):
        assert asks(client, shown).status_code == 204, "nothing moves while somebody may be writing in it"
    throw(underlying="BTC", to=State.RUNNING, reason="r", by="carl", now=timezone.now())
    for client, shown in ((ann, own), (bob, others)):
        assert re.fullmatch(
            r"This page is old: carl resumed BTC at \d\d:\d\d:\d\d UTC "
            r"BTC at \d\d:\d\d:\d\d UTC: opens and closes go on\. Load this page again",
            old_page(asks(client, shown)),
        )
    assert asks(ann, opened(ann)).status_code == 204


def test_an_open_page_is_old_once_the_time_to_take_back_is_over(ann, settings):
    stopped(ago=60)
    shown = opened(ann)
    settings.STOP_TAKE_BACK_SECONDS = 30
    assert re.match(
        r"This page is old: you cannot take the stop back alone any more \(the time for it was over at .* UTC\) "
        r"BTC at .* UTC: opens are stopped",
        old_page(asks(ann, shown)),
    )


def test_an_open_page_is_old_once_its_coin_is_stopped_and_not_another_one(ann):
    ann.get("/admin/")
    shown = opened(ann)
    stopped(underlying="ETH", by="bob")
    assert asks(ann, shown).status_code == 204
    stopped(underlying=ALL_COINS)
    assert "This page is old: you threw the switch of all coins at" in old_page(asks(ann, shown))


@pytest.mark.parametrize("mark", ["", "x", "-1-0", "9" * 30])
def test_a_malformed_mark_is_that_of_an_old_page(ann, mark):
    stopped(by="bob")
    answer = ann.get(address("change"), {"mark": mark}, headers={"HX-Request": "true"})
    assert "This page is old: bob threw the switch of BTC at" in old_page(answer)


def test_why_has_the_focus_on_the_page_before_a_stop(ann):
    ann.get("/admin/")
    shown = ann.get(address("confirm"), {"state": "OPENS_STOPPED"}).content.decode()
    assert re.search(
        r'<textarea id="reason"[^>]* autofocus>.*<script>document\.getElementById\("reason"\)\.focus\(\);</script>',
        shown,
        re.DOTALL,
    )


def test_the_stop_itself_says_until_when_it_can_be_taken_back(ann):
    ann.get(reverse("admin:counter_tradingswitch_changelist"))
    _, said, state = pressed(ann, "throw", state="ALL_STOPPED", reason="a slip")
    assert state == "ALL_STOPPED"
    assert re.search(r"BTC: opens and closes are stopped\. You may take it back alone until .* UTC", said)


def test_what_stood_before_is_named_and_stands_again(ann):
    stopped(by="bob", ago=3600, reason="the index")
    stop_id = stopped(to=State.ALL_STOPPED)
    undo = page(ann)["Undo it"]
    assert re.search(r"Then opens are stopped, .* as before \(stopped by bob, .* UTC: the index\)", undo)
    assert pressed(ann, "take_back", stop=stop_id, reason="too much")[2] == "OPENS_STOPPED"
    seen = page(ann)
    assert "by bob : the index" in seen["State"]
    assert "bob threw it" in seen["Undo it"]


@pytest.mark.parametrize(
    ("ago", "by", "why"),
    [(601, "ann", "the time for it was over at"), (0, "bob", "bob threw it, and nobody else takes it back")],
)
def test_why_a_stop_is_not_taken_back_is_said_and_who_approves(ann, carl, ago, by, why):
    stop_id = stopped(by=by, ago=ago)
    undo = page(ann)["Undo it"]
    assert f"You cannot take this stop back alone: {why}" in undo
    assert "Who can: carl" in undo
    assert "Ask to resume: BTC" in undo
    assert "Take back: BTC" not in undo
    status, said, state = pressed(ann, "take_back", stop=stop_id, reason="r")
    assert (status, state) == (200, "OPENS_STOPPED")
    assert f"Not done: {why}" in said


def test_asking_shows_it_to_the_approver_who_resumes(ann, bob, carl):
    stop_id = stopped(ago=700)
    asked = pressed(ann, "ask", change=stop_id, reason="the index is right")
    assert asked == (200, "Asked. Waits for carl.", "OPENS_STOPPED")
    assert pressed(ann, "ask", change=stop_id, reason="again")[1] == "You have asked already. Waits for carl."
    assert list(ResumeRequest.objects.values_list("by", "reason")) == [("ann", "the index is right")]
    undo = page(ann)["Undo it"]
    assert "Ask to resume" not in undo
    assert re.search(r"ann asked to resume, .* UTC: the index is right", undo)
    assert "Ask to resume: BTC" in page(bob)["Undo it"], "another one may ask too"
    assert re.search(r"ann asked to resume, .*Resume trading…", page(carl)["Undo it"])
    first = first_page(carl)
    assert "ann asks to resume BTC: the index is right" in first
    assert "ann asks for it: the index is right." in first
    assert pressed(carl, "throw", state="RUNNING", after=stop_id, reason="seen")[2] == "RUNNING"
    assert "asks to resume" not in first_page(carl)
    assert "nothing is stopped any more" in pressed(ann, "ask", change=stop_id, reason="late")[1]


def test_a_request_is_about_the_stop_that_was_seen():
    stop_id = stopped()
    ask_for_resuming(change_id=stop_id, reason="well", by="ann", now=timezone.now())
    stronger = stopped(by="bob", to=State.ALL_STOPPED)
    with pytest.raises(SwitchRefused, match="bob has thrown it meanwhile"):
        ask_for_resuming(change_id=stop_id, reason="well", by="dan", now=timezone.now())
    for change_id, reason in ((stronger, " "), (0, "well")):
        with pytest.raises(SwitchRefused):
            ask_for_resuming(change_id=change_id, reason=reason, by="ann", now=timezone.now())
    assert ask_for_resuming(change_id=stronger, reason="well", by="ann", now=timezone.now())


def test_approvers_are_active_staff_with_the_right_and_not_the_one_who_asks(ann, carl):
    staff("dora", role="approver")
    staff("eve", "approve_resume_trading")
    staff("root", superuser=True)
    staff("gone", role="approver")
    User.objects.filter(username="gone").update(is_active=False)
    staff("customer", role="approver")
    User.objects.filter(username="customer").update(is_staff=False)
    assert approvers() == ["carl", "dora", "eve", "root"]
    assert approvers(besides="carl") == ["dora", "eve", "root"]
    stopped(by="bob")
    assert "Who can: carl, dora, eve or root" in page(ann)["Undo it"]


def test_that_nobody_can_approve_is_said_with_what_to_do(ann):
    stopped(by="bob")
    undo = page(ann)["Undo it"]
    assert "Nobody but you has the right to approve" not in undo
    assert "Nobody has the right to approve" in undo
    assert "manage.py staff NAME --role approver" in undo
    assert "nobody, as long as nobody" in pressed(ann, "ask", change=standing_change("BTC").pk, reason="r")[1]


def test_who_lost_the_right_to_stop_takes_nothing_back_any_more(ann):
    stop_id = stopped()
    assert "Take back: BTC" in page(ann)["Undo it"]
    User.objects.get(username="ann").groups.clear()
    assert ann.post(address("take_back"), {"stop": stop_id, "reason": "r"}).status_code == 403
    assert ann.post(address("ask"), {"change": stop_id, "reason": "r"}).status_code == 403
    User.objects.filter(username="ann").update(is_active=False)
    answer = ann.post(address("take_back"), {"stop": stop_id, "reason": "r"})
    assert (answer.status_code, "login" in answer.url) == (302, True)
    assert switch_of().state == "OPENS_STOPPED"


def test_viewers_and_approvers_neither_take_back_nor_ask(carl):
    viewer = staff("vera", role="viewer")
    stop_id = stopped(by="carl")
    for client in (viewer, carl):
        assert client.post(address("take_back"), {"stop": stop_id, "reason": "r"}).status_code == 403
        assert client.post(address("ask"), {"change": stop_id, "reason": "r"}).status_code == 403
    undo = page(viewer)["Undo it"]
    assert "Who can: carl" in undo
    assert not any(word in undo for word in ("Take back", "Ask for", "Resume trading…"))


@pytest.mark.parametrize("given", ["", "x", "-1", "9" * 30, "1.5"])
def test_a_malformed_form_does_nothing(ann, given):
    stopped()
    assert "Not done" in pressed(ann, "take_back", stop=given, reason="r")[1]
    assert pressed(ann, "ask", change=given, reason="r")[2] == "OPENS_STOPPED"
    assert ann.get(address("take_back")).status_code == 405
    assert ann.get(address("ask")).status_code == 405


def test_an_old_page_takes_nothing_else_back(ann):
    first = stopped()
    pressed(ann, "take_back", stop=first, reason="r")
    stopped()
    assert pressed(ann, "take_back", stop=first, reason="r")[1:] == (
        *("Taken back already. BTC: opens are stopped, closing goes on.", "OPENS_STOPPED"),
    )


def test_the_second_person_who_stops_it_too_is_recorded_and_others_change_nothing(ann, bob, carl):
    stop_id = stopped()
    assert "stopped already by ann" in pressed(carl, "throw", state="OPENS_STOPPED", reason="me too")[1]
    assert TradingSwitchChange.objects.count() == 1
    second = pressed(bob, "throw", state="OPENS_STOPPED", reason="me too")[1]
    assert re.search(
        r"BTC: opens are stopped, closing goes on\. It was stopped already by ann, at .* UTC\. "
        r"Your stop is recorded as a second one: ann cannot take the stop back alone any more, "
        r"an approver resumes trading\.",
        second,
    )
    assert "bob threw the switch of BTC after it" in pressed(ann, "take_back", stop=stop_id, reason="r")[1]
    assert "stopped by a second person too" in page(ann)["History"]
    assert "ann" in page(ann)["State"]


def test_what_customers_see_names_all_that_stops_them(ann):
    now = timezone.now()
    for coin, state, reasons in (("BTC", "WIDE", ["exposure"]), ("ETH", "HALTED", ["quotes_stale"])):
        TradingStatus.objects.create(
            underlying=coin, state=state, spread_rate="0.02", reasons=reasons, since=now, judged_at=now
        )
    stopped(underlying=ALL_COINS, to=State.ALL_STOPPED)
    every = page(ann, ALL_COINS)["State"]
    assert "BTC: no prices; every order is refused (trading_stopped)" in every
    ann.get("/admin/")
    own = page(ann, "BTC")
    assert "BTC: opens and closes are stopped, by the switch of all coins" in own["State"]
    assert re.search(
        r"The switch of all coins : opens and closes are stopped. Since .* by ann : a slip", own["State"]
    )
    assert "This switch stops nothing: it was never thrown." in own["State"]
    assert "restricts it too (exposure); the switch of all coins stops it" in own["State"]
    assert "Undo it" not in own
    stop_id = standing_change(ALL_COINS).pk
    ann.post(address("take_back", ALL_COINS), {"stop": stop_id, "reason": "r"})
    TradingStatus.objects.update(judged_at=timezone.now())
    every = page(ann, ALL_COINS)["State"]
    assert "BTC: opens and closes; its circuit breaker widens prices (exposure)" in every
    assert "ETH: no price to open; closing goes on; its circuit breaker halts opens (quotes_stale)" in every


def test_before_trading_goes_on_the_other_switch_is_named(carl):
    stopped()
    stopped(underlying=ALL_COINS, by="bob")
    answer = carl.get(address("confirm"), {"state": "RUNNING"}).content.decode()
    assert (
        "BTC stays stopped by the switch of all coins, opens are stopped, closing goes on; by bob, since"
        in answer
    )


def test_the_first_page_names_the_way_after_the_state(ann, bob, carl):
    stopped(to=State.ALL_STOPPED)
    own, other = (client.get("/admin/").content.decode() for client in (ann, bob))
    assert re.search(r">stopped: take back… \(until \d\d:\d\d:\d\d UTC\)<", own)
    assert ">stopped: undo…<" in other
    for seen in (own, other):
        assert f'href="{address("change")}">stopped' in seen
        assert f"{address('confirm')}?state" not in seen, "to stop more is no way of the first page"
    assert ">stopped: see…<" in carl.get("/admin/").content.decode()
    stopped(by="bob", underlying=ALL_COINS)
    rows = bob.get("/admin/").content.decode()
    assert "opens are stopped, closing goes on, by the switch of all coins" in rows  # of ETH


# --- at the console -------------------------------------------------------------------------------------------------


def said(*arguments):
    out = StringIO()
    call_command("trading", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_takes_an_own_stop_back_and_shows_the_way(carl):
    with pytest.raises(CommandError, match="no stop to take back"):
        said("take-back", "BTC", "--reason", "r")
    shown = said("stop", "BTC", "--reason", "a slip")
    me = f"{console_user()} at the console"
    assert re.search(rf"taken back by {me} alone until \d\d:\d\d:\d\d UTC; ended by approvers .*carl", shown)
    assert "Nothing is stopped" in said("take-back", "BTC", "--reason", "not BTC")
    assert TradingSwitchChange.objects.latest("pk").takes_back_id
    stop_id = stopped(by="ann")
    with pytest.raises(CommandError, match="ann threw it"):
        said("take-back", "BTC", "--reason", "r")
    ask_for_resuming(change_id=stop_id, reason="well", by="dan", now=timezone.now())
    assert "dan asks to resume: well" in said("show")
    assert "Nothing is stopped" in said("resume", "BTC", "--reason", "well")

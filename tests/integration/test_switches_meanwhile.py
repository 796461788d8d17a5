"""Pages of kill switches that are older than what stands: nothing is let go on that a person has not seen stopped."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from counter.models import ResumeRequest, TradingStatus, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.trading.resume_requests import ask_for_resuming
from counter.trading.switches import State, SwitchRefused, newest_id, throw
from counter.trading.taking_back import take_back
from tests.integration.test_switch_pages import address, page, pressed, stopped, switch_of
from tests.support.databases import conninfo, waiting_for_a_lock
from tests.support.desk_bench import at_once
from tests.support.staff import staff
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(databases=["default", "desk"])

UNSEEN = "it would undo a stop that you have not seen"


def shown(client, to):
    """What the page that asks before it is done has in its form."""
    text = client.get(address("confirm"), {"state": to}).content.decode()
    return dict(re.findall(r'<input type="hidden" name="(state|after)" value="([^"]*)">', text))


def let_go_on(by="dora"):
    throw(underlying="BTC", to=State.RUNNING, reason="well", by=by, now=timezone.now())


@pytest.fixture
def carl():
    return staff("carl", role="approver")


def test_who_lets_go_on_what_they_saw_does_not_end_the_next_persons_stop(carl):
    ask_for_resuming(change_id=stopped(by="ann"), reason="a slip", by="ann", now=timezone.now())
    form = shown(carl, "RUNNING")
    let_go_on()
    stopped(by="bob", reason="the index is wrong")
    _, said, state = pressed(carl, "throw", **form, reason="ann asked")
    assert (UNSEEN in said, state, switch_of().by) == (True, "OPENS_STOPPED", "bob")
    assert pressed(carl, "throw", **shown(carl, "RUNNING"), reason="seen")[2] == "RUNNING"


def test_a_second_person_who_stopped_it_too_is_seen_before_it_goes_on(carl):
    stopped(by="ann")
    form = shown(carl, "RUNNING")
    pressed(staff("bob", role="operator"), "throw", state="OPENS_STOPPED", reason="I want it too")
    assert UNSEEN in pressed(carl, "throw", **form, reason="ann asked")[1]
    assert switch_of().state == "OPENS_STOPPED"


@pytest.mark.parametrize("after", ["", "0", "x", "9" * 30])
def test_a_form_without_what_was_seen_lets_nothing_go_on(carl, after):
    stopped()
    assert UNSEEN in pressed(carl, "throw", state="RUNNING", after=after, reason="r")[1]
    assert switch_of().state == "OPENS_STOPPED"


def test_who_may_both_and_stops_opens_does_not_let_closes_go_on_that_were_stopped_meanwhile():
    root = staff("root", superuser=True)
    root.get("/admin/")
    form = shown(root, "OPENS_STOPPED")
    assert form == {"state": "OPENS_STOPPED", "after": "0"}
    stopped(by="ann", to=State.ALL_STOPPED)
    assert UNSEEN in pressed(root, "throw", **form, reason="too fast")[1]
    assert switch_of().state == "ALL_STOPPED"


def test_an_old_page_still_stops_more():
    root = staff("root", superuser=True)
    root.get("/admin/")
    form = shown(root, "ALL_STOPPED")
    stopped(by="ann")
    assert pressed(root, "throw", **form, reason="all of it")[2] == "ALL_STOPPED"


def test_a_request_after_a_stop_is_over_or_thrown_again_is_refused_and_shown_no_more():
    first = stopped(by="ann")
    ask_for_resuming(change_id=first, reason="a slip", by="ann", now=timezone.now())
    let_go_on()
    stopped(by="bob", reason="the index is wrong")
    undo = page(staff("vera", role="viewer"))["Undo it"]
    assert "asked to resume" not in undo
    with pytest.raises(SwitchRefused, match="bob has thrown it meanwhile"):
        ask_for_resuming(change_id=first, reason="a slip", by="ann", now=timezone.now())


def test_of_many_requests_one_is_kept():
    stop_id = stopped(by="bob")
    asked = [
        ask_for_resuming(change_id=stop_id, reason=f"please {n}", by="ann", now=timezone.now())
        for n in range(50)
    ]
    assert asked.count(True) == 1
    assert ResumeRequest.objects.get().reason == "please 0"


def test_two_who_stop_it_too_by_turns_are_kept_once_each():
    stopped(by="ann")
    for _ in range(5):
        for by in ("bob", "cat"):
            throw(underlying="BTC", to=State.OPENS_STOPPED, reason="too", by=by, now=timezone.now())
    assert list(TradingSwitchChange.objects.order_by("pk").values_list("by", flat=True)) == [
        "ann",
        "bob",
        "cat",
    ]
    let_go_on()
    stopped(by="ann")
    throw(underlying="BTC", to=State.OPENS_STOPPED, reason="too", by="bob", now=timezone.now())
    assert TradingSwitchChange.objects.latest("pk").by == "bob", "the next stop is another one"


def test_the_page_of_one_coin_takes_back_and_asks_about_no_other():
    ann = staff("ann", role="operator")
    other = stopped(by="ann", underlying="ETH")
    stopped(by="bob", underlying="BTC")
    assert "Not done: there is no such stop" in pressed(ann, "take_back", stop=other, reason="r")[1]
    assert "Not done: there is no such stop" in pressed(ann, "ask", change=other, reason="r")[1]
    assert switch_of("ETH").state == "OPENS_STOPPED"
    assert not ResumeRequest.objects.exists()


def test_the_stop_of_a_coin_that_is_traded_no_more_can_be_ended(settings, carl):
    stop_id = stopped(underlying="ETH")
    settings.COINS = ["BTC"]
    form = {"state": "RUNNING", "after": stop_id, "reason": "it is traded no more"}
    carl.post(address("throw", "ETH"), form)
    assert switch_of("ETH").state == "RUNNING"


def test_reasons_are_one_readable_line_wherever_they_are_shown():
    ann = staff("ann", role="operator")
    ann.get("/admin/")
    evil = "<script>alert(1)</script>\u202e\x1b[2J\r\nanother line" + "x" * 300_000
    pressed(ann, "throw", state="OPENS_STOPPED", reason=evil)
    pressed(ann, "ask", change=newest_id("BTC"), reason=evil)
    out = StringIO()
    call_command("trading", "show", stdout=out)
    pages = [ann.get(at).content.decode() for at in ("/admin/", "/admin/figures/", address("change"))]
    for text in (*pages, out.getvalue()):
        assert "[2J another line" in text
        assert "x" * 500 not in text
        assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>alert(1)" not in "".join(pages)


# --- at the console -------------------------------------------------------------------------------------------------


def said(*arguments):
    out = StringIO()
    call_command("trading", *arguments, "--reason", "r", stdout=out)
    return out.getvalue()


def test_to_stop_opens_at_the_console_lets_no_closes_go_on():
    stopped(by="ann", to=State.ALL_STOPPED)
    with pytest.raises(CommandError, match="opens and closes are stopped"):
        said("stop", "BTC")
    assert (switch_of().state, switch_of().by) == ("ALL_STOPPED", "ann")
    assert "BTC: opens stopped" in said("resume", "BTC", "--closes")


@pytest.mark.parametrize("to", [State.RUNNING, State.OPENS_STOPPED])
def test_to_resume_closes_stops_nothing(to):
    stopped(by="ann")
    throw(underlying="BTC", to=to, reason="r", by="carl", now=timezone.now())
    count = TradingSwitchChange.objects.count()
    with pytest.raises(CommandError, match="closes are not stopped"):
        said("resume", "BTC", "--closes")
    assert (switch_of().state, TradingSwitchChange.objects.count()) == (to, count)


def test_another_name_in_the_environment_takes_nothing_back(monkeypatch):
    said("stop", "BTC")
    throw(underlying="ETH", to=State.OPENS_STOPPED, reason="r", by="alice at the console", now=timezone.now())
    monkeypatch.setenv("LOGNAME", "alice")
    with pytest.raises(CommandError, match="alice at the console threw it"):
        said("take-back", "ETH")
    assert "BTC:" not in said("take-back", "BTC")


# --- at the same moment ---------------------------------------------------------------------------------------------


HALTED = """
    INSERT INTO counter_tradingstatuschange (underlying, from_state, to_state, spread_rate, reasons, why, at, by)
    VALUES ('BTC', 'NORMAL', 'HALTED', 0.02, '{exposure}', '', %s, 'feed')
"""


def tried(stop_id):
    """Whether ann takes it back, on a thread of its own."""
    try:
        return take_back(stop_id=stop_id, reason="a slip", by="ann", now=timezone.now())
    except SwitchRefused as refusal:
        return str(refusal)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_a_breaker_that_trips_in_the_same_moment_is_waited_for():
    stop_id = stopped(by="ann", ago=60)
    tripped_at = timezone.now() - timedelta(seconds=1)
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(conninfo("default")) as feed:
            feed.execute("SELECT 1 FROM counter_tradingstatus WHERE underlying = 'BTC' FOR UPDATE")
            feed.execute(HALTED, [tripped_at])
            answer = thread.submit(tried, stop_id)
            assert wait_until(waiting_for_a_lock, within_seconds=10)
        assert "circuit breaker made it halted" in str(answer.result(timeout=10))
    assert switch_of().state == "OPENS_STOPPED"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("underlying", ["BTC", ALL_COINS])
def test_who_stops_at_the_moment_of_taking_back_finds_it_stopped(underlying):
    for _ in range(5):
        stop_id = stopped(by="ann")
        at_once(
            lambda stop_id=stop_id: tried(stop_id),
            lambda: throw(
                underlying=underlying, to=State.ALL_STOPPED, reason="r", by="bob", now=timezone.now()
            ),
        )
        assert (switch_of(underlying).state, switch_of(underlying).by) == ("ALL_STOPPED", "bob")
        assert TradingStatus.objects.get(underlying="BTC").stop == "ALL_STOPPED"
        for coin in ("BTC", ALL_COINS):
            throw(underlying=coin, to=State.RUNNING, reason="next", by="carl", now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_judges_while_stops_are_taken_back_waits_for_no_circle():
    def judge():
        for _ in range(20):
            with transaction.atomic():
                rows = TradingStatus.objects.select_for_update().filter(underlying__in=["BTC", "ETH"])
                for status in rows.order_by("underlying"):
                    TradingStatus.objects.filter(pk=status.pk).update(judged_at=timezone.now())

    def slips(coin):
        for _ in range(10):
            assert tried(stopped(by="ann", underlying=coin)) is True

    throw(underlying=ALL_COINS, to=State.RUNNING, reason="r", by="ann", now=timezone.now())
    at_once(judge, judge, lambda: slips("ETH"))
    assert set(TradingStatus.objects.values_list("stop", flat=True)) == {"RUNNING"}

"""Faults between the venue and the answer: one execution for the need, settled once, the wallets agree.

While an outcome is unknown nothing is sent. The venue's own state, which no fault touches, is the judge.
"""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from acceptance.models import AcceptedOrder
from settlement.models import Attempt, Conversion
from settlement.venues import error_table
from settlement.venues.ccxt_venue import CcxtVenue
from tests.support.desk_bench import (
    POST,
    Desk,
    assert_settled_once,
    at_once,
    event,
    order_states,
    states,
    take_in,
)
from tests.support.venue import PaperVenue
from tools.embedded import valkey

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

GET = {"path": "/api/v3/order$", "method": "GET"}

EXECUTED = {
    "the connection closes after execution": {"kind": "reply_lost"},
    "504 after execution": {"kind": "error_after"},
    "503 after execution": {"kind": "error_after", "status": 503, "code": -1000},
    "502 with another code after execution": {"kind": "error_after", "status": 502, "code": -1013},
    "overloaded, yet executed": {"kind": "error_after", "status": 503, "code": -1008},
    "200 with an empty body": {"kind": "empty_body"},
    "200 with an empty object": {"kind": "empty_object"},
    "200 with a cut body": {"kind": "cut_body"},
    "the answer comes too late": {"kind": "reply_delay", "delay_ms": 700},
}
NOT_EXECUTED = {
    "the request is lost": {"kind": "request_lost"},
    "503 before execution": {"kind": "error_before"},
    "maintenance": {"kind": "maintenance"},
}


def resolve(desk: Desk) -> None:
    """Sweep until nothing is unknown; as long as something is, nothing may be sent."""
    sent = len(desk.venue.submissions)
    for step in range(1, 15):
        desk.resume(after=10 * step)
        if "UNKNOWN" not in states():
            return
        assert len(desk.venue.submissions) == sent
    raise AssertionError(states())


@pytest.mark.parametrize("fault", EXECUTED.values(), ids=EXECUTED)
def test_what_was_executed_is_found_and_never_sent_again(desk, fault):
    desk.venue.real._exchange().timeout = 500
    desk.paper.add_fault(**fault, **POST)
    take_in(event(), event(coin="0.02"))
    made = desk.convert()

    assert made.state == "UNKNOWN"
    resolve(desk)
    assert states() == ["BOOKED"]
    assert len(desk.venue.submissions) == 1
    assert_settled_once(desk, venue_orders=1)


@pytest.mark.parametrize("text", ["halt\0ed", "half \ud800 a character"])
@pytest.mark.parametrize("kind", ["error_before", "error_after"])
def test_an_answer_that_no_database_can_hold_is_kept_without_that_and_ends_like_any_other(desk, kind, text):
    desk.paper.add_fault(kind, **POST, status=503, code=-1000, message=text)
    take_in(event(), event(coin="0.02"))
    made = desk.convert()
    assert made.state == "UNKNOWN"
    kept = Attempt.objects.get(call="submit").answer
    assert text[:4] in kept
    assert "\ufffd" in kept

    resolve(desk)
    if order_states() == {"RECEIVED"}:  # not executed, and given back
        desk.convert()
    desk.resume()
    assert_settled_once(desk, venue_orders=1)


@pytest.mark.parametrize("fault", NOT_EXECUTED.values(), ids=NOT_EXECUTED)
def test_what_was_not_executed_is_missed_only_when_that_is_sure_and_then_converted_anew(desk, fault):
    desk.paper.add_fault(**fault, **POST)
    take_in(event(), event(coin="0.02"))
    made = desk.convert()
    assert made.state == "UNKNOWN"

    for _ in range(2 * error_table.MISSES_TO_BE_SURE):
        desk.resume(after=error_table.MISSED_AFTER_SECONDS - 1)  # misses enough, but not the time
    assert states() == ["UNKNOWN"]
    resolve(desk)
    assert states() == ["MISSED"]
    assert order_states() == {"RECEIVED"}

    assert desk.convert().state == "FILLED"
    desk.resume()
    assert states() == ["MISSED", "BOOKED"]
    assert_settled_once(desk, venue_orders=1)


def test_time_alone_does_not_make_a_miss(desk):
    desk.paper.add_fault("request_lost", **POST)
    take_in(event())
    desk.convert()
    for asked in range(1, error_table.MISSES_TO_BE_SURE):
        desk.resume(after=3600 * asked)
        assert states() == ["UNKNOWN"]
    desk.resume(after=36000)
    assert states() == ["MISSED"]


def test_a_lagging_answer_that_there_is_no_such_order_is_not_believed(desk):
    desk.paper.add_fault("stale_reads", path="/api/v3/(order|myTrades)", method="GET", lag_ms=3_600_000)
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    desk.convert()
    for _ in range(error_table.MISSES_TO_BE_SURE - 1):
        desk.resume(after=20)
    assert states() == ["UNKNOWN"]

    desk.paper.clear_faults()  # the reads have caught up
    resolve(desk)
    assert_settled_once(desk, venue_orders=1)


def test_a_trade_that_may_be_its_own_keeps_an_order_from_being_missed(desk):
    desk.paper.add_fault("stale_reads", **GET, lag_ms=3_600_000)  # trades are seen at once, orders are not
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    made = desk.convert()
    for hours in range(1, 8):
        desk.resume(after=3600 * hours)
    assert states() == ["UNKNOWN"]
    made.refresh_from_db()
    assert made.misses == 0
    assert "may be its own" in Attempt.objects.filter(call="ask").latest("id").answer

    desk.paper.clear_faults()
    desk.resume(after=36_000)
    assert_settled_once(desk, venue_orders=1)


def test_a_trade_of_somebody_else_does_not_keep_an_order_unknown_for_ever(desk):
    desk.paper.add_fault("request_lost", **POST)
    take_in(event())
    desk.convert()
    desk.venue.submit(
        underlying="BTC",
        client_order_id="by-hand",
        side="buy",
        quantity=Decimal("0.001"),
        limit_price=Decimal("95000"),
        stamp=desk.venue.stamp(),
    )
    for step in range(1, 8):
        desk.resume(after=20 * step)
    assert states() == ["MISSED"]


def test_an_order_whose_trades_are_not_seen_yet_waits_for_them(desk):
    desk.paper.add_fault("reply_lost", **POST)
    desk.paper.add_fault("stale_reads", path="/api/v3/myTrades", lag_ms=3_600_000)
    take_in(event())
    desk.convert()
    desk.resume(after=20)
    assert states() == ["UNKNOWN"]
    desk.paper.clear_faults()
    desk.resume(after=60)
    assert_settled_once(desk, venue_orders=1)


def test_a_partial_fill_whose_answer_is_lost_is_found_whole(desk):
    desk.paper.add_fault("thin_book", **POST, factor="0.005")
    desk.paper.add_fault("cut_body", **POST)
    take_in(event(coin="1"))
    desk.convert()
    resolve(desk)
    made = Conversion.objects.get()
    assert 0 < made.filled_coin < 1
    assert made.fills.count() == len(desk.venue_has("trades"))
    assert_settled_once(desk, venue_orders=1)


def test_an_order_that_executed_nothing_and_whose_answer_is_lost_releases_its_orders(desk):
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    desk.venue.before_submit = lambda _: desk.paper.set_price("BTCUSDT", "95000")
    desk.convert()
    desk.resume(after=5)
    assert states() == ["MISSED"]
    assert order_states() == {"RECEIVED"}


def test_while_the_venue_cannot_be_asked_an_unknown_order_stays_unknown(desk):
    desk.paper.add_fault("reply_lost", **POST)
    desk.paper.add_fault("maintenance", **GET)
    take_in(event())
    desk.convert()
    for hours in range(1, 10):
        desk.resume(after=3600 * hours)
    assert states() == ["UNKNOWN"]
    desk.paper.clear_faults()
    desk.resume(after=40_000)
    assert_settled_once(desk, venue_orders=1)


def test_a_rate_limit_is_a_no_and_what_it_asks_for_is_waited(desk):
    desk.paper.add_fault("rate_limit", **POST, retry_after_seconds=7)
    take_in(event())
    made = desk.convert()
    assert made.state == "RETRY_WAIT"
    assert made.due_at >= timezone.now() + timedelta(seconds=6)

    desk.resume(after=5)
    assert len(desk.venue.submissions) == 1
    desk.resume(after=20)
    assert desk.venue.submissions == [made.client_order_id] * 2
    assert states() == ["BOOKED"]
    assert_settled_once(desk, venue_orders=1)


def test_a_sender_that_answers_after_it_was_given_up_changes_nothing(desk):
    def asked_meanwhile(**order: object) -> object:
        report = submit(**order)
        desk.resume(after=9)  # another process takes it for dead, asks, and books
        assert states() == ["BOOKED"]
        return report

    submit, desk.venue.real.submit = desk.venue.real.submit, asked_meanwhile
    take_in(event())
    desk.convert()
    assert Attempt.objects.get(call="submit").outcome == "done"  # the late answer is kept all the same
    assert_settled_once(desk, venue_orders=1)


def test_a_venue_that_is_stopped_was_sent_nothing_and_gets_the_order_when_it_is_back(
    transactional_db, broker_url, tmp_path: Path
):
    place = ["--port", str(valkey.free_port()), "--journal", str(tmp_path / "journal")]
    paper = PaperVenue.start(*place)
    try:
        account, key, secret = paper.next_account()
        real = CcxtVenue(client="binance", url=paper.url, api_key=key, api_secret=secret, timeout_seconds=3.0)
        desk = Desk(real, paper, account)
        desk.venue.before_submit = lambda _: paper.stop()
        take_in(event())
        made = desk.convert()
        assert made.state == "RETRY_WAIT"
        assert "NotConnected" in made.reason
        real._tops.clear()
        desk.resume(after=10)  # no price to be had: nothing is sent
        assert len(desk.venue.submissions) == 1

        desk.venue.before_submit = None
        desk.paper = paper = PaperVenue.start(*place)
        desk.resume(after=20)
        assert desk.venue.submissions == [made.client_order_id] * 2
        assert_settled_once(desk, venue_orders=1)
    finally:
        paper.stop()


def test_what_a_long_sweep_sends_at_its_end_does_not_count_as_silent_since_its_beginning(desk):
    desk.paper.add_fault("rate_limit", **POST, retry_after_seconds=0)
    take_in(event())
    waiting = desk.convert()
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event(underlying="ETH", coin="1"))
    Conversion.objects.filter(pk=waiting.pk).update(id=desk.convert("ETH").pk + 1)  # its turn comes second
    desk.paper.add_fault("reply_delay", **GET, count=1, delay_ms=400)

    began = timezone.now()
    desk.resume(after=20)
    sent = Attempt.objects.filter(call="submit").latest("id")
    assert sent.subject_id == waiting.pk + 2
    assert sent.sent_at - timedelta(seconds=20) >= began + timedelta(seconds=0.4)


def test_two_who_ask_at_once_settle_it_once(desk):
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    desk.convert()
    at_once(*[lambda: desk.resume(after=10)] * 4)
    assert states() == ["BOOKED"]
    assert AcceptedOrder.objects.get().allocation
    assert_settled_once(desk, venue_orders=1)


def test_every_call_is_stored_before_it_is_made_and_its_answer_after(desk):
    seen = []

    def look(client_order_id: str) -> None:
        seen.append(Attempt.objects.get(call="submit"))

    desk.venue.before_submit = look
    desk.paper.add_fault("error_after", **POST)
    take_in(event())
    made = desk.convert()
    (before,), after = seen, Attempt.objects.get(call="submit")
    assert before.request_id == after.request_id
    assert (before.request["client_order_id"], before.answered_at, before.answer) == (
        made.client_order_id,
        None,
        "",
    )
    assert (after.venue, after.code, after.http_status) == ("binance", "ServerError -1007", 504)
    assert (after.outcome, after.follow) == ("unknown", "ask")
    assert after.answer.startswith('{"code":-1007')
    resolve(desk)
    asked = Attempt.objects.get(call="ask")
    assert (asked.outcome, asked.follow, asked.http_status) == ("done", "", None)
    assert len({before.request_id, asked.request_id}) == 2

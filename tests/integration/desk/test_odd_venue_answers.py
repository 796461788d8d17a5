"""Odd things that a venue tells: none of them stops the desk, or is believed for more than it says."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from infra.exchange.lean_ccxt import exchange_class
from settlement.conversions import chasing, late_fees, rounds, sweep
from settlement.funds import transfers, treasury
from settlement.models import Conversion, DeskAccount, Fill, LateFee, VenueHalt
from settlement.venues import trade_pages, venue_clock
from settlement.venues.ccxt_venue import ORDER_COUNT_HEADER, ORDER_COUNT_WINDOW_SECONDS
from settlement.venues.protocol import VenueError
from tests.support.desk_bench import (
    Desk,
    assert_books_agree,
    assert_settled_once,
    event,
    order_states,
    states,
    take_in,
)
from tests.support.fixtures import account_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
LONG_NAME = "1000CHEEMS"  # a token that Binance has credited to accounts


@pytest.fixture(autouse=True)
def nothing_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chasing, "_missed_at", {})


def answered(monkeypatch: pytest.MonkeyPatch, exchange: Any, method: str, change: Any) -> None:
    """Have the exchange's method answer what `change` makes of its real answer."""
    real = getattr(exchange, method)
    monkeypatch.setattr(exchange, method, lambda *terms, **more: change(real(*terms, **more)))


@pytest.mark.parametrize("count", ["99999", "999999999", "9" * 5000, "-1", "many", ""])
def test_a_count_of_orders_that_cannot_be_stops_no_coin(desk, monkeypatch, count):
    exchange = desk.venue.real._exchange()

    def tell(order: Any) -> Any:
        exchange.last_response_headers = {ORDER_COUNT_HEADER: count}
        return order

    answered(monkeypatch, exchange, "create_order", tell)
    take_in(event())
    assert desk.convert().state == Conversion.State.FILLED
    assert desk.venue.pace_seconds() <= ORDER_COUNT_WINDOW_SECONDS


def test_one_market_that_is_not_listed_stops_no_other(desk, monkeypatch):
    """A desk that starts after one of its markets has gone trades the other, and halts this one only."""
    binance = exchange_class("binance")
    listed = binance.fetch_markets
    monkeypatch.setattr(
        binance,
        "fetch_markets",
        lambda self, *terms: [one for one in listed(self, *terms) if one["symbol"] != "ETH/USDT"],
    )
    fresh = desk.venue.real
    fresh._markets = None
    fresh._local.__dict__.clear()
    take_in(event(), event(underlying="ETH"))
    assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 1
    with pytest.raises(VenueError):
        rounds.work_off(underlying="ETH", venue=desk.venue)
    assert [halt.underlying for halt in VenueHalt.objects.all()] == ["ETH"]
    monkeypatch.setattr(binance, "fetch_markets", listed)
    desk.resume(after=60)
    assert rounds.work_off(underlying="ETH", venue=desk.venue).rounds == 1
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def test_after_a_halt_for_a_filter_the_process_that_met_it_reads_the_filters_again(desk, paper_venue):
    """Each process has filters of its own: another one's refusal makes this one's the second in a row, a halt."""
    other = Desk(account_of(paper_venue, (desk.account, *_keys(desk))), desk.paper, desk.account)
    for each in (desk, other):
        each.venue.market("BTC")
    desk.paper.add_fault("filters", symbol="BTCUSDT", step="0.001")
    take_in(event(coin="0.01234"))
    first = desk.convert()
    assert first.state == "MISSED"
    take_in(event(coin="0.01234"))
    assert other.convert().state == "MISSED"
    assert VenueHalt.objects.get().underlying == "BTC"
    desk.resume(after=60)
    assert not VenueHalt.objects.filter(lifted_at__isnull=True).exists()
    assert other.convert().state == "FILLED"


def _keys(desk: Desk) -> tuple[str, str]:
    credentials = desk.venue.real._credentials
    return credentials["apiKey"], credentials["secret"]


def test_an_order_that_ccxt_will_not_send_for_a_new_filter_is_planned_anew(desk, monkeypatch):
    take_in(event(coin="0.00015"))
    real = desk.venue.real
    planned = real.market("BTC")
    monkeypatch.setattr(real, "market", lambda underlying: planned)
    entry = real._exchange().markets["BTC/USDT"]
    monkeypatch.setitem(entry["precision"], "amount", "0.001")
    made = desk.convert()
    assert (made.state, desk.venue_has("orders")) == ("MISSED", [])
    assert order_states() == {"RECEIVED"}
    assert "filters have changed" in made.reason


@pytest.mark.parametrize("status", [401, 407, 511])
def test_a_demand_to_log_in_that_is_not_the_venues_proves_nothing_of_the_order(desk, monkeypatch, status):
    """A gateway that answers in HTML after the venue has executed: asked for, never taken for a no."""
    exchange = desk.venue.real._exchange()
    fetch, judge = exchange.fetch, exchange.handle_errors
    struck = []

    def gateway(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        answer = fetch(url, method, headers, body)
        if method != "POST" or struck:
            return answer
        struck.append(url)
        page = "<html>log in</html>"
        exchange.last_http_response, exchange.http_status = page, status
        exchange.handle_http_status_code(status, "", url, method, page)
        raise AssertionError(judge)

    monkeypatch.setattr(exchange, "fetch", gateway)
    take_in(event())
    made = desk.convert()
    assert made.state == Conversion.State.UNKNOWN
    desk.resume(after=60)
    desk.resume(after=120)
    assert_settled_once(desk, venue_orders=1)


def test_an_asset_of_a_long_name_opens_books_and_may_be_a_fee(desk, monkeypatch, paper_venue):
    exchange = desk.venue.real._exchange()

    def named(order: Any) -> Any:
        for trade in order["trades"]:
            trade["fee"] = {"cost": "0.5", "currency": LONG_NAME}
        return order

    answered(monkeypatch, exchange, "create_order", named)
    take_in(event())
    made = desk.convert()
    assert made.state == Conversion.State.FILLED, made.reason
    desk.resume()
    made.refresh_from_db()
    assert made.state == "BOOKED"
    assert Fill.objects.get().fee_asset == LateFee.objects.get().asset == LONG_NAME
    assert DeskAccount.objects.filter(asset=LONG_NAME).exists()


def test_books_are_opened_with_any_asset_the_venue_has_credited(db, transactional_db, venue, monkeypatch):
    credited = lambda answer: answer | {"total": answer["total"] | {LONG_NAME: "5"}}  # noqa: E731
    answered(monkeypatch, venue._exchange(), "fetch_balance", credited)
    assert treasury.open_books(venue=venue, now=timezone.now())
    assert DeskAccount.objects.filter(asset=LONG_NAME).count() == 3


@pytest.mark.parametrize(
    "odd",
    [
        {"id": None},
        {"fee": {"cost": "NaN", "currency": "USDT"}},
        {"fee": {"cost": "1", "currency": "B" * 65}},
    ],
    ids=str,
)
def test_a_trade_that_cannot_be_read_is_asked_for_again_and_stored_once(desk, monkeypatch, odd):
    exchange = desk.venue.real._exchange()
    answered(
        monkeypatch,
        exchange,
        "create_order",
        lambda order: order | {"trades": [trade | odd for trade in order["trades"]]},
    )
    take_in(event())
    assert desk.convert().state == Conversion.State.UNKNOWN
    desk.resume(after=60)
    assert_settled_once(desk, venue_orders=1)


@pytest.mark.parametrize(
    ("fee", "asset"),
    [("-0.5", "USDT"), ("-0.00001", "BTC"), ("-0.01", "BNB"), ("0.02", "BTC"), ("2000", "USDT")],
)
@pytest.mark.parametrize("kind", ["OPEN", "CLOSE"])
def test_a_rebate_and_a_fee_beyond_the_fill_are_booked_as_they_are(desk, monkeypatch, fee, asset, kind):
    exchange = desk.venue.real._exchange()

    def charged(order: Any) -> Any:
        for trade in order["trades"]:
            trade["fee"] = {"cost": fee, "currency": asset}
        return order

    answered(monkeypatch, exchange, "create_order", charged)
    made = desk.settle(event(kind=kind))
    assert made.state == "BOOKED"
    assert Fill.objects.get().fee == Decimal(fee)
    assert order_states() == {"SETTLED"}


def test_one_late_fee_that_cannot_be_valued_holds_up_neither_the_others_nor_the_sweep(desk, monkeypatch):
    take_in(event())
    made = desk.convert()
    for asset, amount in (("AAA", "99999999999999999999"), ("BBB", "1")):
        LateFee.objects.create(conversion=made, asset=asset, amount=Decimal(amount), taken_at=timezone.now())
    monkeypatch.setattr(desk.venue.real, "value_in_usdt", lambda asset: Decimal(10))
    desk.resume()
    assert LateFee.objects.get(asset="BBB").worth_usdt == 10
    assert LateFee.objects.get(asset="AAA").valued_at is None
    assert states() == ["BOOKED"]
    assert late_fees.value_waiting(venue=desk.venue, now=timezone.now()) == 0


@pytest.mark.parametrize("behind_seconds", [0, 7, 60])
def test_what_was_sent_is_looked_for_by_the_venues_clock(desk, monkeypatch, behind_seconds):
    real = desk.venue.real.stamp
    monkeypatch.setattr(desk.venue.real, "stamp", lambda: real() - 1000 * behind_seconds)
    sent = timezone.now()
    since = venue_clock.earliest(sent, desk.venue)
    off = sent - since - venue_clock.MARGIN - timedelta(seconds=behind_seconds)
    assert abs(off) < timedelta(seconds=2)


def test_a_transfer_is_found_though_the_venues_clock_is_behind(desk, monkeypatch):
    real = desk.venue.real
    done = real.transfer
    monkeypatch.setattr(real, "transfer", lambda **order: done(**order) and _lost())
    started = transfers.start(
        asset="USDT", amount=Decimal(7), direction="to_reserve", venue=desk.venue, now=timezone.now()
    )
    assert started is not None
    assert started.state == "UNKNOWN"
    # By our clock it was sent a minute after the venue did it.
    type(started).objects.filter(pk=started.pk).update(submitted_at=timezone.now() + timedelta(seconds=60))
    started.refresh_from_db()
    assert transfers.fitting(started, desk.venue) == []
    stamp = real.stamp
    monkeypatch.setattr(real, "stamp", lambda: stamp() - 60_000)
    assert len(transfers.fitting(started, desk.venue)) == 1


def _lost() -> str:
    raise VenueError(kind="RequestTimeout", message="no answer")


def test_a_history_without_an_end_is_no_answer(desk, monkeypatch):
    monkeypatch.setattr(trade_pages, "PAGES_AT_MOST", 5)
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", 1)
    exchange = desk.venue.real._exchange()
    desk.settle(event())
    [trade] = exchange.fetch_my_trades("BTC/USDT")

    def endless(symbol: str, since: Any, limit: int, parameters: Any) -> list[Any]:
        return [trade | {"id": str(parameters.get("fromId", 1))}]

    monkeypatch.setattr(exchange, "fetch_my_trades", endless)
    with pytest.raises(VenueError, match="pages of trades"):
        desk.venue.trades(underlying="BTC", since=timezone.now())


def test_numbers_beyond_what_a_machine_word_holds_are_numbers(desk, monkeypatch):
    exchange = desk.venue.real._exchange()
    desk.settle(event())
    [trade] = exchange.fetch_my_trades("BTC/USDT")
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", 2)
    first = 2**63 - 2

    def paged(symbol: str, since: Any, limit: int, parameters: Any) -> list[Any]:
        begin = max(int(parameters.get("fromId", first)), first)
        return [trade | {"id": str(number)} for number in range(begin, min(begin + 2, first + 5))]

    monkeypatch.setattr(exchange, "fetch_my_trades", paged)
    found = desk.venue.trades(underlying="BTC", since=timezone.now())
    assert [int(one.venue_trade_id) for one in found] == list(range(first, first + 5))


@pytest.mark.parametrize("fault", ["cut_body", "empty_object", "empty_body"])
def test_a_wallet_that_was_not_told_whole_is_no_empty_wallet_and_of_no_other_account(desk, fault):
    desk.paper.add_fault(fault, path="/(api/v3/account|sapi/v1/asset/get-funding-asset)")
    for ask in (
        desk.venue.account_id,
        desk.venue.why_closed,
        lambda: desk.venue.balances("trading"),
        lambda: desk.venue.balances("reserve"),
    ):
        with pytest.raises(VenueError) as raised:
            ask()
        assert raised.value.kind in ("BadAnswer", "BadResponse", "NullResponse", "ExchangeError")
    desk.resume()
    assert not VenueHalt.objects.exists()


def test_a_question_that_came_late_by_the_venues_clock_is_asked_again_at_once(desk):
    exchange = desk.venue.real._exchange()
    right = exchange.milliseconds
    exchange.milliseconds = lambda: right() + 60_000
    assert desk.venue.account_id()


def test_a_fee_at_an_absurd_price_is_a_late_one_and_keeps_no_fill_from_being_stored(desk, monkeypatch):
    exchange = desk.venue.real._exchange()
    exchange.sapiPostBnbBurn({"spotBNBBurn": "true"})
    monkeypatch.setattr(desk.venue.real, "value_in_usdt", lambda asset: Decimal("1e30"))
    made = desk.settle(event())
    assert made.state == "BOOKED"
    assert LateFee.objects.get().asset == "BNB"
    assert Fill.objects.get().fee_usdt is None
    desk.resume()
    assert LateFee.objects.get().valued_at is None


def test_a_long_sweep_takes_nothing_that_was_sent_meanwhile_for_sent_in_the_future(desk, monkeypatch, caplog):
    take_in(event())
    began = timezone.now() - timedelta(seconds=20)

    def die(_: str) -> None:
        raise KeyboardInterrupt

    desk.venue.before_submit = die
    with pytest.raises(KeyboardInterrupt):
        desk.convert()
    sent = Conversion.objects.get().submitted_at
    clock = iter([0.0])
    monkeypatch.setattr(sweep.time, "monotonic", lambda: next(clock, 20.0))
    sweep.resume(venue=desk.venue, now=began)
    assert Conversion.objects.get().submitted_at == sent
    assert "lay in the future" not in caplog.text

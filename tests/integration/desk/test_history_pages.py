"""What the venue tells in pages is read to its end, by number: trades of an order, trades since a moment, transfers."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from settlement.conversions import balancing
from settlement.models import Conversion, Fill
from settlement.venues.ccxt_venue import CcxtVenue
from settlement.venues.protocol import VenueError
from tests.support.desk_bench import POST, Desk, assert_books_agree, assert_settled_once, event, take_in
from tests.support.venue import PaperVenue

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])
TRADES = 1200
ORDER = {"path": "/api/v3/order$", "method": "POST"}


@pytest.fixture(scope="module")
def paper_venue() -> Iterator[PaperVenue]:
    """A venue of its own, whose trade numbers begin at 1: they pass 999 in these tests."""
    made = PaperVenue.start()
    yield made
    made.stop()


def settled_in_many_trades(desk: Desk, trades: int = TRADES) -> list[int]:
    """An order of so many trades, whose answer is lost; their numbers."""
    desk.paper.add_fault("many_trades", **ORDER, trades=trades)
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event(coin=str(Decimal("0.00001") * trades)))
    lost = desk.convert()
    assert lost.state == Conversion.State.UNKNOWN
    desk.resume(after=60)
    lost.refresh_from_db()
    assert lost.state in (Conversion.State.FILLED, Conversion.State.BOOKED), lost.reason
    balancing.balance_filled(now=timezone.now())
    return sorted(int(trade["id"]) for trade in desk.venue_has("trades"))


@pytest.mark.parametrize("trades", [999, 1000, 1001, TRADES, 2500])
def test_an_order_of_many_trades_whose_answer_was_lost_is_booked_whole(desk, trades):
    numbers = settled_in_many_trades(desk, trades)
    assert len(numbers) == trades
    assert sorted(map(int, Fill.objects.values_list("venue_trade_id", flat=True))) == numbers
    assert_settled_once(desk, venue_orders=1)
    assert_books_agree(desk)


def test_an_order_whose_trades_are_not_all_there_stays_unknown_and_is_not_booked_in_part(desk, monkeypatch):
    exchange = desk.venue.real._exchange()
    ask = exchange.fetch_my_trades
    monkeypatch.setattr(exchange, "fetch_my_trades", lambda *terms: ask(*terms)[:-1])
    desk.paper.add_fault("many_trades", **ORDER, trades=5)
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    lost = desk.convert()
    desk.resume(after=60)
    lost.refresh_from_db()
    assert (lost.state, Fill.objects.count()) == (Conversion.State.UNKNOWN, 0)
    monkeypatch.undo()
    desk.resume(after=120)
    assert_settled_once(desk, venue_orders=1)


def test_trades_of_one_millisecond_are_read_once_each_in_the_order_of_their_numbers(desk):
    began = timezone.now() - timedelta(seconds=5)
    numbers = settled_in_many_trades(desk)
    found = [int(trade.venue_trade_id) for trade in desk.venue.trades(underlying="BTC", since=began)]
    assert found == numbers


def test_pages_that_do_not_go_on_are_no_answer(desk, monkeypatch):
    settled_in_many_trades(desk)
    exchange = desk.venue.real._exchange()
    ask = exchange.fetch_my_trades
    monkeypatch.setattr(
        exchange,
        "fetch_my_trades",
        lambda symbol, since, limit, terms: ask(symbol, since, limit, {**terms, "fromId": 0}),
    )
    with pytest.raises(VenueError, match="do not go on"):
        desk.venue.find(underlying="BTC", client_order_id=desk.venue.submissions[0])


def test_every_transfer_is_read_however_many(desk):
    began = timezone.now() - timedelta(seconds=5)
    venue: CcxtVenue = desk.venue.real

    def move(asset: str, direction: Any = "to_trading") -> str:
        return venue.transfer(asset=asset, amount=Decimal("0.001"), direction=direction, stamp=venue.stamp())

    oldest = move("BTC")
    back = move("BTC", "to_reserve")
    others = [move("ETH") for _ in range(205)]
    found = venue.transfers(asset="BTC", since=began)
    assert [report.venue_transfer_id for report in found] == [oldest, back]
    assert {report.venue_transfer_id for report in venue.transfers(asset="ETH", since=began)} == set(others)
    assert venue.transfers(asset="BTC", since=timezone.now() + timedelta(seconds=5)) == []

"""What is read of the venue is read whole: every page of trades, every market, and again when an answer breaks off."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from counter.market.index_bounds import Book, Cause
from counter.market.index_sources import configured
from settlement.venues import retrying_reads, trade_pages
from settlement.venues.ccxt_venue import CcxtVenue
from settlement.venues.protocol import VenueError
from settlement.venues.trade_pages import trades_of_order
from tests.support.desk_bench import (
    assert_settled_once,
    event,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

DAY_MS = 24 * 3600 * 1000
GET = {"path": "/api/v3/order$", "method": "GET"}


def test_every_page_of_trades_is_read_however_many(desk, monkeypatch):
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", 1)
    began = timezone.now() - timedelta(seconds=5)
    for _ in range(55):
        desk.settle(event())
    assert len(desk.venue.trades(underlying="BTC", since=began)) == len(desk.venue_has("trades")) >= 55


@pytest.mark.parametrize("days", [0, 1, 3])
def test_trades_since_days_ago_are_read_though_the_venue_answers_of_a_day(desk, monkeypatch, days):
    for _ in range(3):
        desk.settle(event())
    exchange = desk.venue.real._exchange()
    ask, asked = exchange.fetch_my_trades, []

    def of_a_day(symbol, since, limit, parameters):
        asked.append(parameters)
        found = ask(symbol, since, limit, parameters)
        start = parameters.get("startTime")
        return [each for each in found if start is None or each["timestamp"] < start + 24 * 3600 * 1000]

    monkeypatch.setattr(exchange, "fetch_my_trades", of_a_day)
    found = desk.venue.trades(underlying="BTC", since=timezone.now() - timedelta(days=days, seconds=60))
    assert len(found) == len({trade.venue_trade_id for trade in found}) == len(desk.venue_has("trades")) >= 3
    assert len(asked) == days + 1


@pytest.mark.parametrize(("page", "within_ms"), [(1000, DAY_MS), (1, DAY_MS), (2, 200), (1000, 200)])
def test_trades_until_a_moment_are_those_before_it_and_no_more_is_asked_for(
    desk, monkeypatch, page, within_ms
):
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", page)
    monkeypatch.setattr(trade_pages, "WITHIN_MS", within_ms)
    began = timezone.now() - timedelta(seconds=1)
    for _ in range(6):
        desk.settle(event())
    trades = desk.venue.trades(underlying="BTC", since=began)
    until = trades[3].traded_at
    before = [trade for trade in trades if trade.traded_at < until]
    exchange, asked = desk.venue.real._exchange(), []
    ask = exchange.fetch_my_trades
    monkeypatch.setattr(exchange, "fetch_my_trades", lambda *given: asked.append(given) or ask(*given))
    monkeypatch.setattr(trade_pages, "PAGE_PAUSE_SECONDS", 0)
    pages = list(trade_pages.all_pages(desk.venue, underlying="BTC", since=began, until=until))
    assert [trade for each in pages for trade in each.trades] == before != []
    assert max(len(each.trades) for each in pages) <= page
    # Windows without a trade come before, as many as the first order took time.
    assert sum("fromId" in parameters for *_, parameters in asked) <= len(before) // page + 1
    span = {"since": began - timedelta(seconds=1), "until": began}
    assert [each.trades for each in trade_pages.all_pages(desk.venue, underlying="BTC", **span)] == [()]


def test_pages_of_trades_are_asked_for_one_by_one_with_a_pause_after_each(desk, monkeypatch):
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", 1)
    pauses = []
    monkeypatch.setattr(trade_pages.time, "sleep", pauses.append)
    began = timezone.now() - timedelta(seconds=1)
    for _ in range(3):
        desk.settle(event())
    exchange, asked = desk.venue.real._exchange(), []
    ask = exchange.fetch_my_trades
    monkeypatch.setattr(exchange, "fetch_my_trades", lambda *given: asked.append(given) or ask(*given))
    until = timezone.now() + timedelta(seconds=1)
    pages = trade_pages.all_pages(desk.venue, underlying="BTC", since=began, until=until)
    assert asked == []
    for number in (1, 2, 3):
        assert len(next(pages).trades) == 1
        assert len(asked) == number
    list(pages)
    # Orders share the allowance: 20 of 6,000 a minute for a page.
    assert pauses == [trade_pages.PAGE_PAUSE_SECONDS] * (len(asked) - 1)
    assert 60 / trade_pages.PAGE_PAUSE_SECONDS * 20 <= 0.4 * 6000


@pytest.mark.parametrize("page", [1000, 3])
def test_a_trade_that_a_page_tells_twice_is_one_trade(desk, monkeypatch, page):
    """The statement of a day could not be kept with it, and orders did not add up."""
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", page)
    began = timezone.now() - timedelta(seconds=5)
    desk.settle(event())
    once = desk.venue.trades(underlying="BTC", since=began)
    exchange = desk.venue.real._exchange()
    ask = exchange.fetch_my_trades
    monkeypatch.setattr(exchange, "fetch_my_trades", lambda *given: 2 * ask(*given))
    assert desk.venue.trades(underlying="BTC", since=began) == once != []
    order_id = once[0].venue_order_id
    own = [trade.venue_trade_id for trade in once if trade.venue_order_id == order_id]
    assert [trade["id"] for trade in trades_of_order(exchange, "BTC/USDT", order_id)] == own


def test_a_trade_that_is_told_in_two_ways_is_no_answer(desk, monkeypatch):
    began = timezone.now() - timedelta(seconds=5)
    desk.settle(event())
    exchange = desk.venue.real._exchange()
    ask = exchange.fetch_my_trades

    def contradicting(*given):
        page = ask(*given)
        return [*page, {**page[0], "amount": page[0]["amount"] + "1"}]

    monkeypatch.setattr(exchange, "fetch_my_trades", contradicting)
    with pytest.raises(VenueError, match="told in two ways"):
        desk.venue.trades(underlying="BTC", since=began)


def test_trades_after_those_of_an_earlier_day_are_read_too(desk, monkeypatch):
    monkeypatch.setattr(trade_pages, "WITHIN_MS", 200)
    began = timezone.now() - timedelta(seconds=1)
    for _ in range(3):
        desk.settle(event())
    assert len(desk.venue.trades(underlying="BTC", since=began)) == len(desk.venue_has("trades")) >= 3


@pytest.mark.parametrize("kind", ["empty_object", "empty_body", "cut_body"])
def test_markets_that_are_read_in_part_do_not_replace_those_that_are_known(desk, kind):
    venue = desk.venue.real
    known = venue.market("BTC")
    desk.paper.add_fault(kind, path="/api/v3/exchangeInfo$", count=1)
    venue._markets_read_at = float("-inf")
    assert venue.market("BTC") == known
    desk.settle(event())
    assert_settled_once(desk, venue_orders=1)


def test_a_process_that_starts_with_a_list_without_our_symbols_reads_it_again(paper_venue, venue_account):
    _, key, secret = venue_account
    venue = CcxtVenue(
        client="binance", url=paper_venue.url, api_key=key, api_secret=secret, timeout_seconds=5
    )
    paper_venue.add_fault("empty_object", path="/api/v3/exchangeInfo$", count=1)
    with pytest.raises(VenueError):
        venue.market("BTC")
    assert venue.market("BTC").symbol == "BTC/USDT"
    paper_venue.clear_faults()


def test_the_feed_reads_the_list_again_as_well(paper_venue, settings):
    settings.VENUE_URL = paper_venue.url
    [source] = configured()
    paper_venue.add_fault("empty_object", path="/api/v3/exchangeInfo$", count=1)
    for expected in (Cause, Book):
        source.ask(now=timezone.now())
        answer = source.answer(within_seconds=5)
        assert set(answer.books) == set(settings.COINS)
        assert {type(told) for told in answer.books.values()} == {expected}
    paper_venue.clear_faults()


@pytest.mark.parametrize("kind", ["request_lost", "reply_lost", "empty_body", "cut_body"])
def test_a_question_that_breaks_off_is_asked_again_at_once(desk, kind):
    made = desk.settle(event())
    desk.paper.add_fault(kind, **GET, count=retrying_reads.TIMES - 1)
    found = desk.venue.real.find(underlying="BTC", client_order_id=made.client_order_id)
    assert found.venue_order_id == made.venue_order_id


def test_a_question_is_not_asked_for_ever_nor_when_the_venue_itself_refuses_it(desk):
    ask = partial(desk.venue.real.find, underlying="BTC", client_order_id="xb-none")
    for fault, asked in (
        ({"kind": "request_lost"}, retrying_reads.TIMES),
        ({"kind": "error_before", "status": 503, "code": -1001}, 1),
        ({"kind": "rate_limit"}, 1),
    ):
        added = desk.paper.add_fault(**fault, **GET)
        with pytest.raises(VenueError):
            ask()
        struck = {each["fault_id"]: each["struck"] for each in desk.paper.faults()}
        assert struck[added["fault_id"]] == asked
        desk.paper.clear_faults()

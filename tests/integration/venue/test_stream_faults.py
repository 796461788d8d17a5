"""Streams that stall, repeat, reorder, come late, end or lie, while what is asked for stays as it is."""

import asyncio
import time

import aiohttp
import pytest
import requests

from tests.support.sockets import connected, talk

STREAM = "btcusdt@bookTicker"
PATH = f"/ws/{STREAM}$"


def told(venue, *prices, seconds=0.6):
    """What the stream tells while the price goes through these; each is pinned once the one before was pushed."""

    async def conversation():
        async with connected(venue.url, f"/ws/{STREAM}") as socket:
            for price in prices:
                await asyncio.to_thread(venue.control, "POST", "price", symbol="BTCUSDT", price=price)
                await asyncio.sleep(0.1)
            return await socket.receive_many(seconds=seconds)

    return talk(conversation)


def bids(messages):
    return [message["b"].split(".")[0] for message in messages]


def fault(venue, kind, **settings):
    venue.control("POST", "faults", kind=kind, path=PATH, **settings)


def test_without_a_fault_each_change_is_told_once(venue):
    messages = told(venue, "90001", "90002", "90003")
    assert bids(messages) == ["90001", "90002", "90003"]
    ids = [message["u"] for message in messages]
    assert ids == sorted(set(ids))


def test_a_stalled_stream_says_nothing_and_keeps_its_connection(venue):
    fault(venue, "stream_stalled", count=2)
    assert bids(told(venue, "90001", "90002", "90003")) == ["90003"]


def test_a_repeating_stream_sends_what_was_before_again(venue):
    fault(venue, "stream_repeated", skip=1, count=1)
    assert bids(told(venue, "90001", "90002", "90003")) == ["90001", "90002", "90001", "90003"]


def test_a_reordering_stream_sends_a_message_after_the_next(venue):
    fault(venue, "stream_reordered", count=1)
    assert bids(told(venue, "90001", "90002", "90003")) == ["90002", "90001", "90003"]


def test_a_late_stream_keeps_its_order(venue):
    fault(venue, "stream_late", delay_ms=400, count=2)
    began = time.monotonic()
    assert bids(told(venue, "90001", "90002", "90003", seconds=1.2)) == ["90001", "90002", "90003"]
    assert time.monotonic() - began > 0.4


def test_a_cut_stream_ends(venue):
    fault(venue, "stream_cut", skip=1)
    with pytest.raises(ConnectionError):
        told(venue, "90001", "90002", seconds=5)


@pytest.mark.parametrize(
    ("kind", "settings", "shown"),
    [
        ("wick", {"percent": "-50"}, ("45000.00000000", "45000.01000000")),
        ("one_sided_book", {"side": "ask"}, ("90000.00000000", "0.00000000")),
        ("crossed_book", {"percent": "1"}, ("90900.01000000", "90000.01000000")),
    ],
)
def test_a_lying_stream_shows_another_book_than_the_one_that_is_asked_for(venue, kind, settings, shown):
    venue.control("POST", "price", symbol="BTCUSDT", price="89000")
    fault(venue, kind, **settings)
    [message] = told(venue, "90000")
    assert (message["b"], message["a"]) == shown
    asked = requests.get(f"{venue.url}/api/v3/ticker/bookTicker", {"symbol": "BTCUSDT"}, timeout=10).json()
    assert (asked["bidPrice"], asked["askPrice"]) == ("90000.00000000", "90000.01000000")


def test_a_frozen_stream_goes_on_with_an_old_price(venue):
    fault(venue, "frozen_book")
    messages = told(venue, "90001", "90002", "90003")
    assert bids(messages) == ["90001", "90001", "90001"]
    assert len({message["u"] for message in messages}) == 3


def test_a_fault_of_streams_leaves_requests_alone_and_one_of_requests_leaves_streams_alone(venue):
    venue.control("POST", "faults", kind="stream_stalled")
    venue.control("POST", "faults", kind="error_before", count=1, path="/api")
    assert bids(told(venue, "90001")) == []
    seen = [requests.get(f"{venue.url}/api/v3/ping", timeout=10).status_code for _ in range(2)]
    assert seen == [503, 200]


def test_a_handshake_is_refused_by_the_faults_of_requests(venue):
    venue.control("POST", "faults", kind="maintenance", path="/ws")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        told(venue)

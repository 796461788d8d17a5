"""Books that the venue can be made to show in bad moments: to the requests that are struck, and to no other."""

import pytest
import requests


def book(venue, symbol="BTCUSDT"):
    answer = requests.get(f"{venue.url}/api/v3/ticker/bookTicker", params={"symbol": symbol}, timeout=10)
    return tuple(float(answer.json()[side]) for side in ("bidPrice", "askPrice"))


@pytest.mark.parametrize(
    ("kind", "terms", "holds"),
    [
        ("wick", {"percent": "-90.9"}, lambda bid, ask, mid: bid < ask < 0.1 * mid),
        ("wick", {"percent": "50"}, lambda bid, ask, mid: ask > bid > 1.4 * mid),
        ("wide_book", {"percent": "99"}, lambda bid, ask, mid: bid < 0.02 * mid and ask > 0.9 * mid),
        ("wide_book", {"side": "ask"}, lambda bid, ask, mid: bid > 0.9 * mid and ask > 1.8 * mid),
        ("crossed_book", {"percent": "1"}, lambda bid, ask, mid: bid > 1.005 * ask),
        ("one_sided_book", {}, lambda bid, ask, mid: bid == 0 and ask > 0.9 * mid),
        ("one_sided_book", {"side": "ask"}, lambda bid, ask, mid: ask == 0 and bid > 0.9 * mid),
    ],
)
def test_a_struck_reading_shows_an_odd_book_of_one_symbol(venue, kind, terms, holds):
    mid = sum(book(venue)) / 2
    venue.control("POST", "faults", kind=kind, count=1, symbol="BTCUSDT", path="/api/v3/ticker", **terms)
    assert holds(*book(venue), mid)
    assert book(venue)[0] == pytest.approx(mid, rel=0.05)


def test_a_frozen_book_stays_while_the_price_moves_on(venue):
    venue.control("POST", "faults", kind="frozen_book", symbol="BTCUSDT", path="/api/v3/ticker/bookTicker")
    frozen = book(venue)
    venue.control("POST", "price", symbol="BTCUSDT", price="80000")
    assert book(venue) == frozen
    venue.control("DELETE", "faults")
    assert book(venue)[1] == pytest.approx(80_000, rel=0.001)

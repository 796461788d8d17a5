"""True prices are found by their time, with gaps between them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from tools.chaos.true_prices import TruePrices, Watching, middle

AT = datetime(2026, 11, 29, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def prices():
    made = TruePrices()
    for second, price in ((0, 100), (1, 104), (2, 98), (10, 101)):
        made.add("BTC", AT + second * SECOND, Decimal(price))
    return made


def test_the_price_of_a_moment_is_the_last_one_up_to_it(prices):
    assert [prices.at("BTC", AT + seconds * SECOND) for seconds in (-5, 0, 1.5, 9, 60)] == [
        100,
        100,
        104,
        98,
        101,
    ]


def test_a_range_includes_its_neighbours_so_that_a_gap_is_no_blind_spot(prices):
    assert prices.range("BTC", AT + 0.5 * SECOND, AT + 1.5 * SECOND) == (98, 104)
    assert prices.range("BTC", AT + 5 * SECOND, AT + 6 * SECOND) == (98, 101)
    assert prices.range("BTC", AT + 20 * SECOND, AT + 30 * SECOND) == (101, 101)


def test_a_sample_that_is_not_later_is_passed_over(prices):
    prices.add("BTC", AT, Decimal(7))
    assert prices.samples("BTC", AT, AT + 2 * SECOND) == [(AT, 100), (AT + SECOND, 104)]


def test_the_middle_of_a_book_without_a_side_is_as_careless_as_it_looks():
    assert middle(Decimal(0), Decimal(90_000)) == 45_000


def test_a_venue_that_is_away_has_no_price_and_ends_nothing():
    answers = iter([{"BTCUSDT": (Decimal(99), Decimal(101)), "BNBUSDT": (Decimal(1), Decimal(1))}])
    asked = []

    def ask():
        asked.append(1)
        try:
            return next(answers)
        except StopIteration:
            raise requests.ConnectionError from None

    watching = Watching(ask, coins={"BTCUSDT": "BTC"}, clock=lambda: AT)
    watching.start()
    while len(asked) < 3:
        pass
    watching.stop()
    assert watching.prices.samples("BTC", AT, AT + SECOND) == [(AT, 100)]

"""What is gained from a price that was not true is seen, on each path, and what is honestly traded is not."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.expiring.expiry import expire_due
from counter.models import IndexPrice, SyncOrder
from tests.support.expiring import EXPIRES_AT, LATER, buy, expiring_option, record_index
from tests.support.factories import make_customer, make_option, make_quote, place_close, place_open, unique
from tests.support.settling import settle
from tools.chaos.adversary import Attempt
from tools.chaos.gain import measure
from tools.chaos.report import is_whole
from tools.chaos.true_prices import TruePrices
from tools.demo.figures import start_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
SECOND = timedelta(seconds=1)
TRUE = Decimal(90_000)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def option(now):
    """A call at the money for 30 days: worth some 4 % of a coin by the model."""
    return make_option(now=now, bid="0.030000", ask="0.080000")


@pytest.fixture
def start():
    return start_of(unique("chaos"))


def true_prices(since, *, seconds=60, price=TRUE):
    prices = TruePrices()
    for number in range(seconds * 2):
        prices.add("BTC", since + number * SECOND / 2, price)
    return prices


def measured(start, now, *, adversaries=(), attempts=(), prices=None):
    return measure(
        start=start,
        prices=prices or true_prices(now - 45 * SECOND),
        adversaries=set(adversaries),
        attempts=attempts,
        watched_from=now - 45 * SECOND,
    )


def test_honest_trades_pay_their_spread_and_gain_nothing(start, now, option):
    opened = place_open(make_customer(), option, contracts=10, now=now)
    place_close(opened, now=now)
    gain = measured(start, now, adversaries=[opened.client_order_id])
    assert (gain.trades, gain.beyond, gain.unvalued, gain.is_none) == (2, 0, 0, True)
    assert gain.at_true_index < gain.of_adversaries < 0


def test_an_open_below_every_true_price_is_a_gain(start, now, option):
    make_quote(option, bid="0.000900", ask="0.001000", index=Decimal(9_000), now=now)
    opened = place_open(make_customer(), option, contracts=10, now=now)
    gain = measured(start, now, adversaries=[opened.client_order_id])
    assert gain.beyond > 100
    assert gain.of_adversaries == gain.at_true_index > 100
    assert not gain.is_none
    assert gain.rows[0].startswith(f"order {opened.id}: OPEN 10 {option.symbol}")


@pytest.mark.parametrize("payout", ["instant", "at_fill"])
def test_a_close_above_every_true_price_is_a_gain_with_either_payout(start, now, option, payout):
    opened = place_open(make_customer(), option, contracts=10, now=now)
    make_quote(option, bid="0.500000", ask="0.600000", now=now)
    closed = place_close(opened, payout=payout, now=now)
    if payout == "at_fill":
        settle(closed)
    gain = measured(start, now)
    assert gain.beyond > 3000
    assert not gain.is_none


def test_a_price_that_was_true_within_the_age_of_a_quote_is_no_bad_price(start, now, option):
    make_quote(option, bid="0.030000", ask="0.060000", index=Decimal(60_000), now=now)
    place_open(make_customer(), option, now=now)
    prices = true_prices(now - 45 * SECOND)
    just_fallen = TruePrices()
    for at, price in prices.samples("BTC", now - 60 * SECOND, now + 60 * SECOND):
        just_fallen.add("BTC", at, Decimal(60_000) if at < now - 5 * SECOND else price)
    assert measured(start, now, prices=just_fallen).beyond == 0


def test_an_exercise_at_an_index_that_bad_samples_made_is_a_gain(start):
    option = expiring_option(in_the_money_by=9_000)
    order = buy(make_customer(now=EXPIRES_AT - timedelta(hours=21)), option, contracts=10)
    start = start_of(start.run_id)
    record_index()
    watched_from = EXPIRES_AT - timedelta(minutes=2)
    IndexPrice.objects.filter(at__gte=watched_from).update(price=TRUE * 2)
    expire_due(now=LATER)
    exercised = SyncOrder.objects.get(kind="EXERCISE")
    prices = true_prices(watched_from, seconds=120)
    gain = measure(start=start, prices=prices, adversaries=set(), attempts=(), watched_from=watched_from)
    assert order.position_id == exercised.position_id
    # Two of thirty minutes at twice the index: 6,000 USD for each of ten contracts of 0.01 coin.
    assert gain.beyond == pytest.approx(Decimal(600), abs=1)


def test_an_exercise_at_the_average_of_what_was_true_is_none(start):
    buy(make_customer(now=EXPIRES_AT - timedelta(hours=21)), expiring_option(), contracts=10)
    start = start_of(start.run_id)
    record_index()
    expire_due(now=LATER)
    watched_from = EXPIRES_AT - timedelta(minutes=2)
    gain = measure(
        start=start,
        prices=true_prices(watched_from, seconds=120),
        adversaries=set(),
        attempts=(),
        watched_from=watched_from,
    )
    assert (gain.trades, gain.beyond, gain.at_true_index) == (
        1,
        0,
        pytest.approx(Decimal(0), abs=Decimal("0.01")),
    )


def test_what_odd_books_would_have_given_is_noted(start, now, option):
    shown = {"BTCUSDT": (Decimal(9_000), Decimal(9_001))}
    attempt = Attempt(now, shown, symbols=(option.symbol,), sold=(option.symbol,))
    gain = measured(start, now, attempts=[attempt])
    assert (gain.attempts, gain.at_stake > 500, gain.trades) == (1, True, 0)


def test_a_run_in_which_somebody_gained_is_not_whole():
    found = {
        **dict.fromkeys(("lost", "doubled", "without_outcome"), 0),
        "unmended": [],
        "accepted": 1,
        "drain_s": 1.0,
        "audit": {"broken": 0, "unchecked": []},
    }
    assert is_whole({**found, "gain": {"is_none": True}})
    assert not is_whole({**found, "gain": {"is_none": False}})

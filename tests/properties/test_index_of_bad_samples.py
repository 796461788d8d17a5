"""With any bad samples between good ones, the published index stays in the band of the good ones.

The stated bounds: beyond a movement of 1 % for each second since the last sound sample, and of 3 % at most, nothing bad
is published at all, so a round trip at published quotes gains nothing; a bad sample that stays within the limit moves a
single source's index by no more than it, and the index of three sources, two of them good, not at all.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from counter.market.index import Index
from counter.market.model_quotes import model_quote
from counter.market.volatility import DEFAULT_SURFACE
from counter.pricing import formulas
from tests.support.index_sources import WrittenSource

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BASE = Decimal(90_000)
LIMIT = settings.INDEX_LEAP_PER_SECOND_RATE

goods = st.integers(-30, 30).map(lambda offset: BASE + offset)
digits = st.decimals(allow_nan=True, allow_infinity=True, places=2).map(str)
sides = st.one_of(st.none(), st.just("0"), st.just(""), st.text(max_size=6), digits)
malformed = st.tuples(sides, sides)
half_gone = goods.flatmap(lambda good: st.integers(1, 80_000).map(lambda bid: (str(bid), str(good + 1))))
wicks = st.one_of(st.integers(1, 87_200), st.integers(92_900, 10**9)).map(lambda at: (str(at), str(at + 1)))
near = st.integers(-850, 850).map(lambda offset: (str(BASE + offset - 1), str(BASE + offset + 1)))


def series(bad):
    """Good prices with runs of up to two bad samples between them."""
    step = st.tuples(goods, st.lists(bad, max_size=2))
    return st.lists(step, min_size=1, max_size=25)


def published(steps, *, others=()):
    """What is published of BTC, tick by tick, and whether the coin leapt at the end."""
    source = WrittenSource()
    index, now, prices = Index([source, *others]), NOW, []

    def tick(told):
        nonlocal now
        now += SECOND
        source.books["BTC"] = told
        point = index.read(now=now).prices.get("BTC")
        if point is not None:
            prices.append(point.price)

    for _ in range(3):
        tick((str(BASE - 1), str(BASE + 1)))
    for good, bad in steps:
        tick((str(good - 1), str(good + 1)))
        for told in bad:
            tick(told)
    tick((str(BASE - 1), str(BASE + 1)))
    assert prices[-1] == BASE or others, "good prices come back at once"
    assert not index.leaps
    return prices


def gain(bought_at, sold_at, kind):
    """USDT that a customer makes who buys and sells 10,000 contracts at these indexes, spread included."""
    terms = {
        "underlying": "BTC",
        "kind": kind,
        "strike": BASE,
        "expires_at": NOW + timedelta(days=7),
        "surface": DEFAULT_SURFACE,
        "now": NOW,
    }
    size = {"contracts": 10_000, "multiplier": Decimal("0.01"), "spread_rate": settings.SPREAD_RATE}
    ask, bid = (model_quote(index=index, **terms) for index in (bought_at, sold_at))
    paid = formulas.open_cost(ask_premium=ask.ask, index=bought_at, **size).cost
    return formulas.close_proceeds(bid_premium=bid.bid, index=sold_at, **size).proceeds - paid


@given(series(st.one_of(malformed, half_gone, wicks)))
def test_no_bad_sample_beyond_the_limits_is_ever_published_and_no_round_trip_gains(steps):
    prices = published(steps)
    assert all(BASE - 30 <= price <= BASE + 30 for price in prices)
    low, high = min(prices), max(prices)
    assert gain(low, high, "C") < 0
    assert gain(high, low, "P") < 0


@given(series(near))
def test_a_bad_sample_within_the_limit_moves_the_index_by_no_more_than_the_limit(steps):
    prices = published([(good, bad[:1]) for good, bad in steps])
    assert all((BASE - 30) / (1 + LIMIT) <= price <= (BASE + 30) * (1 + LIMIT) for price in prices)


@given(st.lists(st.one_of(malformed, half_gone, wicks, near), min_size=1, max_size=60))
def test_one_source_of_three_moves_nothing_by_any_answers_for_any_time(bad):
    others = [WrittenSource(name, prices={"BTC": BASE, "ETH": Decimal(3_000)}) for name in ("b", "c")]
    prices = published([(BASE, bad)], others=others)
    assert len(prices) == len(bad) + 4  # every tick but the very first
    assert all(abs(price - BASE) <= Decimal("4.5") for price in prices), "the books of the two are as wide"

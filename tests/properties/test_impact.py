"""What size is charged: the integral of a linear price, held against a slow one, and what cutting an order may gain."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.pricing.formulas import close_at_fill, close_proceeds, open_cost
from counter.pricing.impact import CoinBook, Depths, ImpactRates, Measures, flow_of, impact
from tests.support.bookkeeper import SizeCharge

RATES = ImpactRates(
    delta=Decimal("0.001"), vega=Decimal("0.5"), premium=Decimal("0.002"), most=Decimal("0.05")
)
MICRO = Fraction(1, 10**6)

depths = st.none() | st.decimals("1", "100000000", places=2)
amounts = st.decimals("-5000", "5000", places=8)
greeks = st.decimals("-1", "1", places=6)
options = st.fixed_dictionaries(
    {
        "multiplier": st.sampled_from([Decimal("0.01"), Decimal("0.1")]),
        "premium": st.decimals("0.000001", "0.5", places=6),
        "delta": greeks,
        "vega": st.decimals("0", "900", places=6),
    }
)
books = st.builds(
    lambda depths, at: (Depths(*depths), Measures(*at)),
    st.tuples(depths, depths, depths),
    st.tuples(amounts, amounts, amounts),
)
indexes = st.decimals("100", "200000", places=8)
sizes = st.integers(1, 100_000)


def charge(book, option, contracts, index, *, opens, reserved=(), rates=RATES, at_fill=False):
    """The charge, and how the order moves the book."""
    flow = flow_of(opens=opens, contracts=contracts, **option)
    worth = option["multiplier"] * contracts * option["premium"] * index
    held = CoinBook(*book)
    charged = impact(
        book=held,
        flow=flow,
        reserved=reserved,
        index=index,
        worth=worth,
        rates=rates,
        is_converted_at_fill=at_fill,
    )
    return charged, flow


def reference(book, option, contracts, index, *, opens, rates=RATES):
    """The integral by its pieces, in exact fractions."""
    (depths, at), sign = book, 1 if opens else -1
    charge = SizeCharge(
        {name: depth and Fraction(depth) for name, depth in depths._asdict().items()},
        {name: Fraction(getattr(rates, name)) for name in Measures._fields},
        Fraction(rates.most),
    )
    coin = sign * contracts * Fraction(option["multiplier"])
    delta, vega, premium = (Fraction(option[name]) for name in ("delta", "vega", "premium"))
    flow = {"delta": -coin * delta, "vega": -coin * vega, "premium": coin * premium}
    stands = {name: Fraction(value) for name, value in at._asdict().items()}
    return charge.of(stands, flow, Fraction(index), abs(coin) * premium * Fraction(index))


@given(books, options, sizes, indexes, st.booleans())
def test_it_is_the_integral_rounded_up_once_for_each_measure(book, option, contracts, index, opens):
    charged, _ = charge(book, option, contracts, index, opens=opens)
    assert Fraction(charged) == reference(book, option, contracts, index, opens=opens)
    worth = Fraction(option["multiplier"]) * contracts * Fraction(option["premium"]) * Fraction(index)
    assert 0 <= charged <= 3 * Fraction(RATES.most) * worth + 3 * MICRO


@given(books, options, st.lists(sizes, min_size=2, max_size=6), indexes, st.booleans())
def test_cutting_an_order_never_costs_less_and_at_most_what_rounding_adds(book, option, parts, index, opens):
    whole, moved = charge(book, option, sum(parts), index, opens=opens)
    total, (depths, at) = Decimal(0), book
    for contracts in parts:
        charged, flow = charge((depths, at), option, contracts, index, opens=opens)
        total, at = total + charged, at.plus(flow)
    assert at == book[1].plus(moved)
    assert whole <= total <= whole + Decimal(3 * len(parts)) / 10**6


@given(books, options, st.lists(sizes, min_size=2, max_size=6), indexes, st.booleans())
def test_promises_that_may_still_be_used_are_no_way_around_it(book, option, parts, index, opens):
    """Each part asked for as if those before had been used: the sum is again that of one order."""
    whole, _ = charge(book, option, sum(parts), index, opens=opens)
    promised, total = [], Decimal(0)
    for contracts in parts:
        charged, flow = charge(book, option, contracts, index, opens=opens, reserved=promised)
        total, promised = total + charged, [*promised, flow]
    assert whole <= total <= whole + Decimal(3 * len(parts)) / 10**6


@given(books, options, options, sizes, sizes, indexes, st.booleans(), st.booleans())
def test_a_promise_the_other_way_makes_nothing_cheaper(
    book, option, other, contracts, more, index, opens, opens_other
):
    alone, _ = charge(book, option, contracts, index, opens=opens)
    promised = flow_of(opens=opens_other, contracts=more, **other)
    beside, _ = charge(book, option, contracts, index, opens=opens, reserved=[promised])
    assert beside >= alone


@given(books, options, st.tuples(sizes, sizes), indexes, st.booleans())
def test_a_larger_order_is_never_charged_less(book, option, contracts, index, opens):
    small, large = (charge(book, option, count, index, opens=opens)[0] for count in sorted(contracts))
    assert small <= large


@given(books, options, sizes, indexes, st.booleans())
def test_what_brings_the_book_nearer_to_nothing_is_free(book, option, contracts, index, opens):
    depths, _ = book
    flow = flow_of(opens=opens, contracts=contracts, **option)
    opposite = Measures(*(-moved * 2 for moved in flow))
    assert charge((depths, opposite), option, contracts, index, opens=opens)[0] == 0


@given(books, options, sizes, indexes)
def test_there_and_back_is_never_paid_for(book, option, contracts, index):
    depths, at = book
    there, flow = charge(book, option, contracts, index, opens=True)
    back, returned = charge((depths, at.plus(flow)), option, contracts, index, opens=False)
    assert at.plus(flow).plus(returned) == at
    assert there >= 0
    assert back >= 0


@given(books, options, options, st.tuples(sizes, sizes), indexes)
def test_those_who_do_not_see_each_other_pay_less_by_what_they_would_have_moved_for_each_other_at_most(
    book, option, other, parts, index
):
    """Two orders of one moment in two processes: what is lost is rate * first * second / depth, and no more."""
    depths, at = book
    free = ImpactRates(RATES.delta, RATES.vega, RATES.premium, most=Decimal("0.99"))
    flow = flow_of(opens=True, contracts=parts[0], **option)
    blind, _ = charge(book, other, parts[1], index, opens=True, rates=free)
    seeing, _ = charge((depths, at.plus(flow)), other, parts[1], index, opens=True, rates=free)
    units = Measures(index, Decimal(1), index)
    second = flow_of(opens=True, contracts=parts[1], **other)
    lost = sum(
        Fraction(getattr(free, name))
        * abs(Fraction(getattr(flow, name)) * Fraction(getattr(second, name)))
        * Fraction(getattr(units, name)) ** 2
        / Fraction(getattr(depths, name))
        for name in Measures._fields
        if getattr(depths, name)
    )
    assert Fraction(seeing) - Fraction(blind) <= lost + 3 * MICRO


@given(options, sizes, indexes, st.decimals("0", "1000000", places=6), st.decimals("0", "0.999999", places=6))
def test_a_price_with_a_charge_is_rounded_against_the_customer_and_never_below_nothing(
    option, contracts, index, charged, rate
):
    same = {"contracts": contracts, "multiplier": option["multiplier"], "index": index}
    opened = open_cost(**same, ask_premium=option["premium"], spread_rate=rate, impact=charged)
    value = Fraction(opened.coin) * Fraction(index)
    exact = (value + Fraction(charged)) * (1 + Fraction(rate))
    assert 0 <= Fraction(opened.cost) - exact < MICRO
    assert opened.fair + opened.spread == opened.cost
    closed = close_proceeds(**same, bid_premium=option["premium"], spread_rate=rate, impact=charged)
    exact = max(Fraction(closed.coin) * Fraction(index) - Fraction(charged), Fraction(0)) * (
        1 - Fraction(rate)
    )
    assert 0 <= exact - Fraction(closed.proceeds) < MICRO
    assert closed.proceeds >= 0
    filled = close_at_fill(
        **same,
        bid_premium=option["premium"],
        protective_rate=rate,
        tolerance_rate=Decimal("0.02"),
        impact=charged,
    )
    premium = contracts * Fraction(option["multiplier"]) * Fraction(option["premium"])
    most = max(premium - Fraction(charged) / Fraction(index), Fraction(0)) * (1 - Fraction(rate))
    assert 0 <= most - Fraction(filled.coin) < 2 * Fraction(1, 10**8)


def test_an_example_by_hand():
    """40 coin short and 10 more, 1,000 USDT a coin, of 100,000 USDT depth: 0.001 / 200,000 * (50,000² - 40,000²)."""
    book = (Depths(delta=Decimal(100_000)), Measures(delta=Decimal(-40)))
    option = {
        "multiplier": Decimal("0.1"),
        "premium": Decimal("0.1"),
        "delta": Decimal("0.5"),
        "vega": Decimal(3),
    }
    charged, flow = charge(book, option, 200, Decimal(1000), opens=True)
    assert flow == (Decimal(-10), Decimal(-60), Decimal(2))
    assert charged == Decimal("4.5")
    assert charge(book, option, 200, Decimal(1000), opens=False)[0] == 0
    # 80 coin back: 40 to nothing for nothing, 40 beyond.
    assert charge(book, option, 1600, Decimal(1000), opens=False)[0] == Decimal(8)


def test_at_fill_the_customer_bears_the_venue_alone():
    book = (Depths(premium=Decimal(1000)), Measures(premium=Decimal(-5)))
    option = {"multiplier": Decimal("0.1"), "premium": Decimal("0.1"), "delta": None, "vega": None}
    assert charge(book, option, 10, Decimal(1000), opens=False)[0] > 0
    assert charge(book, option, 10, Decimal(1000), opens=False, at_fill=True)[0] == 0


@pytest.mark.parametrize("impact_usdt", [Decimal(-1), Decimal("NaN"), 1])
def test_a_charge_that_is_none_is_refused(impact_usdt):
    with pytest.raises(ValueError, match="impact"):
        open_cost(
            contracts=1,
            multiplier=Decimal("0.1"),
            ask_premium=Decimal("0.1"),
            index=Decimal(1000),
            spread_rate=Decimal(0),
            impact=impact_usdt,
        )

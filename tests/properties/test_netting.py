from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from settlement.netting.fill import FillTotals
from settlement.netting.net import Carry, Demand, Lot, plan, settle
from settlement.netting.units import allocate

UNIT = Fraction(1, 10**8)
USDT_UNIT = Decimal("0.000001")


def amounts(low, high, places=8):
    """Decimals at a scale, built from whole units so that none is ever rounded."""
    scale = 10**places
    return st.integers(int(Decimal(low) * scale), int(Decimal(high) * scale)).map(
        lambda units: Decimal(units).scaleb(-places)
    )


coins = amounts("0.00000001", "0.001") | amounts("0.00000001", "1000")
prices = amounts("0.5", "3") | amounts("1000", "200000") | amounts("1000", "200000", places=2)
fees = st.just(Decimal(0)) | amounts("0", "0.1") | amounts("-0.01", "20")

demand_lists = st.lists(
    st.builds(
        Demand,
        order_id=st.integers(1, 10**12),
        side=st.sampled_from(["buy", "sell"]),
        coin=coins,
        fair=amounts("0", "100000", places=6),
        payout=st.sampled_from(["instant", "at_fill"]),
    ),
    max_size=25,
    unique_by=lambda demand: demand.order_id,
)
carries = st.just(Carry(Decimal(0), Decimal(0))) | st.builds(
    Carry, coin=amounts("-2", "2"), usdt=amounts("-200000", "200000")
)


@st.composite
def fills(draw):
    coin = draw(coins)
    # The exact quote amount of several executions has its own last digits: an average price is rarely exact.
    usdt = max(round(coin * draw(prices), 8) + draw(amounts("0", "0.01")), Decimal("0.00000001"))
    return FillTotals(
        side=draw(st.sampled_from(["buy", "sell"])),
        coin=coin,
        usdt=usdt,
        fee_coin=draw(fees),
        fee_usdt=draw(fees),
        fee_other_usdt=draw(fees),
    )


batches = st.fixed_dictionaries(
    {
        "demands": demand_lists,
        "carry": carries,
        "fill": st.none() | fills(),
        "price_if_unfilled": prices,
    }
)


def signed(fill):
    if fill is None:
        return Decimal(0), Decimal(0)
    sign = 1 if fill.side == "buy" else -1
    return sign * fill.coin, sign * fill.usdt


def total(demands, side):
    return sum((demand.coin for demand in demands if demand.side == side), Decimal(0))


@given(batches)
def test_every_coin_is_accounted_for(batch):
    demands, carry, fill = batch["demands"], batch["carry"], batch["fill"]
    done = settle(**batch)
    net = total(demands, "buy") - total(demands, "sell")
    executed, _ = signed(fill)
    fee_coin = fill.fee_coin if fill else Decimal(0)
    options = -net
    venue = executed - fee_coin
    trading = done.carry_out.coin - carry.coin
    assert options + venue + trading == 0


@given(batches)
def test_the_books_close_to_zero_in_usdt(batch):
    """Signed debit-positive balances of every account that one settlement touches."""
    demands, carry, fill = batch["demands"], batch["carry"], batch["fill"]
    done = settle(**batch)
    _, paid = signed(fill)
    owed = at_fill_fees = Decimal(0)
    for demand, share in zip(demands, done.shares, strict=True):
        owed += share.due if demand.side == "buy" else -share.due
        if demand.side == "sell" and demand.payout == "at_fill":
            at_fill_fees += share.fee
    legs = {
        "counter": owed,
        "venue": -paid - (fill.fee_usdt if fill else 0),
        "trading": carry.usdt - done.carry_out.usdt,
        "trading in the fee's third asset": -(fill.fee_other_usdt if fill else 0),
        "fees": done.fee_total - at_fill_fees,
        "pnl": -done.slippage_total - done.carry_result,
        "rounding": -done.rounding_total - done.price_rounding,
    }
    assert sum(legs.values()) == 0, legs


@given(batches)
def test_shares_add_up_exactly(batch):
    demands = batch["demands"]
    done = settle(**batch)
    values = {"buy": Decimal(0), "sell": Decimal(0)}
    for demand, share in zip(demands, done.shares, strict=True):
        assert share.order_id == demand.order_id
        values[demand.side] += share.value
    assert values == {"buy": done.bought_value, "sell": done.sold_value}
    assert sum((share.slippage for share in done.shares), Decimal(0)) == done.slippage_total
    assert sum((share.rounding for share in done.shares), Decimal(0)) == done.rounding_total
    if demands:
        assert sum(share.fee for share in done.shares) == done.fee_total


@given(
    st.integers(-60, 60) | st.integers(-(10**20), 10**20),
    st.dictionaries(st.integers(1, 99), st.integers(1, 9) | st.integers(1, 10**14), min_size=1, max_size=9),
)
def test_what_is_missing_goes_to_the_largest_remainders_then_the_lowest_ids(whole, weight_by_id):
    ids, weights = list(weight_by_id), list(weight_by_id.values())
    parts = allocate(whole, weights, ids)
    assert sum(parts) == whole
    exact = [Fraction(whole * weight, sum(weights)) for weight in weights]
    rank = {order_id: (-(share - floor(share)), order_id) for order_id, share in zip(ids, exact, strict=True)}
    raised = {
        order_id for order_id, part, share in zip(ids, parts, exact, strict=True) if part != floor(share)
    }
    assert raised == set(sorted(ids, key=rank.__getitem__)[: len(raised)])
    for part, share in zip(parts, exact, strict=True):
        assert abs(part - share) < 1


@given(batches)
def test_values_explain_the_fill_and_the_carry_exactly(batch):
    carry, fill = batch["carry"], batch["fill"]
    done = settle(**batch)
    _, paid = signed(fill)
    assert done.bought_value - done.sold_value == (
        paid
        + (done.carry_out.usdt - carry.usdt)
        + done.carry_result
        - done.fee_coin_value
        + done.price_rounding
    )


@given(batches)
def test_the_price_rounding_is_only_rounding(batch):
    """Half a unit for each of the five rounded values, and half a unit of price on every coin executed."""
    done = settle(**batch)
    executed, _ = signed(batch["fill"])
    assert abs(Fraction(done.price_rounding)) <= UNIT / 2 * (5 + abs(Fraction(executed)))


@given(batches)
def test_every_share_is_the_order_s_own_proportion(batch):
    demands = batch["demands"]
    done = settle(**batch)
    all_coin = total(demands, "buy") + total(demands, "sell")
    for demand, share in zip(demands, done.shares, strict=True):
        exact = Fraction(demand.coin) * Fraction(done.price)
        assert abs(Fraction(share.value) - exact) < 3 * UNIT
        exact_fee = Fraction(done.fee_total) * Fraction(demand.coin) / Fraction(all_coin)
        assert abs(Fraction(share.fee) - exact_fee) < UNIT


@given(batches)
def test_nothing_due_is_negative_or_finer_than_customer_money(batch):
    done = settle(**batch)
    for demand, share in zip(batch["demands"], done.shares, strict=True):
        assert share.due >= 0
        assert share.due == round(share.due, 6)
        assert share.value >= 0
        if demand.side == "sell" and demand.payout == "at_fill":
            assert share.value == share.fee + share.due + share.rounding + share.slippage
            assert 0 <= share.rounding < USDT_UNIT
            tolerance = Fraction(demand.fair) * 2 / 100
            least, most = Fraction(demand.fair) - tolerance, Fraction(demand.fair) + tolerance
            assert least - Fraction(USDT_UNIT) < Fraction(share.due) <= most
            brought = Fraction(share.value) - Fraction(share.fee)
            if share.slippage > 0:
                assert brought > most - Fraction(USDT_UNIT) >= Fraction(share.due) - Fraction(USDT_UNIT)
            if share.slippage < 0:
                assert brought < least
        else:
            assert share.due == demand.fair
            assert share.rounding == 0
            gain = share.due - share.value
            assert share.slippage == (gain if demand.side == "buy" else -gain)


@given(batches)
def test_more_coin_on_one_side_is_never_worth_less(batch):
    done = settle(**batch)
    for side in ("buy", "sell"):
        ranked = sorted(
            (demand.coin, share.value)
            for demand, share in zip(batch["demands"], done.shares, strict=True)
            if demand.side == side
        )
        for (_, smaller), (_, larger) in pairwise(ranked):
            assert smaller <= larger


@given(batches, st.randoms(use_true_random=False))
def test_the_order_of_a_batch_does_not_matter(batch, random):
    done = settle(**batch)
    shuffled = list(batch["demands"])
    random.shuffle(shuffled)
    again = settle(**{**batch, "demands": shuffled})
    assert sorted(again.shares) == sorted(done.shares)
    assert (again.carry_out, again.fee_total) == (done.carry_out, done.fee_total)


@given(demand_lists, prices)
def test_a_batch_without_fees_is_worth_what_its_orders_are_worth_one_at_a_time(demands, price):
    nothing = Carry(Decimal(0), Decimal(0))
    together = settle(demands=demands, carry=nothing, fill=None, price_if_unfilled=price)
    for demand, share in zip(demands, together.shares, strict=True):
        alone = settle(demands=[demand], carry=nothing, fill=None, price_if_unfilled=price).shares[0]
        assert abs(alone.value - share.value) <= Decimal("0.00000002")


@given(demand_lists, prices, st.integers(0, 25))
def test_splitting_a_batch_carries_the_same_coin(demands, price, cut):
    carry = nothing = Carry(Decimal(0), Decimal(0))
    for part in (demands[:cut], demands[cut:]):
        carry = settle(demands=part, carry=carry, fill=None, price_if_unfilled=price).carry_out
    whole = settle(demands=demands, carry=nothing, fill=None, price_if_unfilled=price).carry_out
    assert carry == whole


@given(
    demand_lists,
    carries,
    prices,
    st.sampled_from(["0.00001", "0.0001", "0.001", "1"]).map(Decimal),
    amounts("0", "2"),
    amounts("0.00001", "5000"),
    amounts("0", "100"),
)
def test_a_plan_is_the_largest_order_the_venue_takes(
    demands, carry, price, step, min_qty, max_qty, min_notional
):
    lot = Lot(step=step, min_qty=min_qty, max_qty=max_qty, min_notional=min_notional)
    made = plan(demands=demands, carry=carry, lot=lot, reference_price=price)
    bought, sold = total(demands, "buy"), total(demands, "sell")
    assert (made.bought, made.sold, made.crossed) == (bought, sold, min(bought, sold))
    assert made.net == bought - sold + carry.coin
    takes = min(abs(made.net), max_qty)
    largest = takes - takes % step
    if made.side is None:
        assert made.quantity == 0
        assert largest == 0 or largest < min_qty or largest * price < min_notional
    else:
        assert made.side == ("buy" if made.net > 0 else "sell")
        assert made.quantity == largest > 0
        assert made.quantity >= min_qty
        assert made.quantity * price >= min_notional

"""Positions that expire: the payoff is paid and no more, within the limit, in order, and no unit is made or lost."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from counter.expiring.exercise_batch import ExerciseBatch, ExpiredOption
from counter.orders.rows import AccountRow, PositionRow
from tests.support.examples import examples
from tests.support.expiring import AFTER, BEFORE

ZERO, UNIT, COIN_UNIT = Decimal(0), Decimal("0.000001"), Decimal("0.00000001")
CUSTOMERS = 4

options = st.builds(
    ExpiredOption,
    id=st.just(0),
    symbol=st.just("X"),
    underlying=st.sampled_from(["BTC", "ETH"]),
    kind=st.sampled_from(["C", "P"]),
    strike=st.integers(1, 200_000).map(Decimal),
    multiplier=st.sampled_from([Decimal("0.01"), Decimal("0.1")]),
    settlement_index=st.decimals(min_value="0.01", max_value=200_000, places=8),
)


@st.composite
def batches(draw):
    """Options, open positions in them by id, and a limit, of which some are paid at once and some not."""
    series = [
        ExpiredOption(number, f"S{number}", o.underlying, o.kind, o.strike, o.multiplier, o.settlement_index)
        for number, o in enumerate(draw(st.lists(options, min_size=1, max_size=4)), start=1)
    ]
    positions = [
        PositionRow(
            id=100 + n,
            customer_id=draw(st.integers(1, CUSTOMERS)),
            option_id=draw(st.sampled_from(series)).id,
            contracts=(contracts := draw(st.integers(1, 5000))),
            remaining=draw(st.integers(1, contracts)),
            unpaid=0,
            cost=draw(st.decimals(min_value=0, max_value=10**6, places=6)),
            proceeds=ZERO,
            state="OPEN",
            opened_at=BEFORE,
        )
        for n in range(draw(st.integers(1, 15)))
    ]
    limit = draw(st.decimals(min_value=0, max_value=10**7, places=6))
    return series, positions, limit


def decided(series, positions, limit):
    accounts = {
        n: AccountRow(1000 + n, Decimal(5), 10**6, Decimal(10**9), None, None, None, None)
        for n in range(1, CUSTOMERS + 1)
    }
    batch = ExerciseBatch(
        accounts=accounts,
        options={option.id: option for option in series},
        order_ids=range(1, 1000),
        allowance=limit,
        now=AFTER,
    )
    for position in positions:
        batch.decide(position)
    return batch


@settings(max_examples=examples(50))
@given(batches())
def test_money_is_the_payoff_of_each_position_within_the_limit_and_to_the_last_unit(drawn):
    series, positions, limit = drawn
    left = {position.id: position.remaining for position in positions}
    batch = decided(series, positions, limit)
    by_id = {option.id: option for option in series}
    orders = {order.position_id: order for order in batch.orders}
    assert len(orders) == len(batch.orders) == len(batch.exercised)
    assert len(batch.exercised) + len(batch.worthless) == len(positions)

    allowed = limit
    for position in positions:
        option = by_id[position.option_id]
        intrinsic = option.settlement_index - option.strike
        worth = max(intrinsic if option.kind == "C" else -intrinsic, ZERO) * left[position.id]
        worth *= option.multiplier
        order = orders.get(position.id)
        assert position.remaining == 0
        if order is None:
            assert worth < COIN_UNIT * option.settlement_index + 2 * UNIT
            continue
        assert order.contracts == left[position.id]
        assert ZERO <= worth - order.coin * option.settlement_index < COIN_UNIT * option.settlement_index
        assert abs(order.fair - order.coin * option.settlement_index) <= UNIT / 2
        proceeds = (order.coin * option.settlement_index).quantize(UNIT, "ROUND_DOWN")
        assert order.payout == ("instant" if proceeds <= allowed else "at_fill")
        if order.payout == "instant":
            allowed -= proceeds
            assert (order.amount, order.fair - order.spread) == (proceeds, proceeds)
            assert (position.proceeds, position.unpaid) == (proceeds, 0)
        else:
            assert (order.amount, order.spread) == (0, 0)
            assert (position.proceeds, position.unpaid) == (0, 1)
    assert sum(batch.paid_at_once.values()) == limit - allowed


@settings(max_examples=examples(50))
@given(batches())
def test_what_leaves_clearing_arrives_and_balances_follow_their_legs(drawn):
    series, positions, limit = drawn
    batch = decided(series, positions, limit)
    for customer_id, account in batch.accounts.items():
        legs = [leg for leg in batch.transfers if leg.credit == account.id]
        assert account.balance == 5 + sum((leg.amount for leg in legs), ZERO)
        if legs:
            assert legs[-1].balance_after == account.balance
        ended = [position for position in positions if position.customer_id == customer_id]
        assert account.changed == bool(ended)
        held = sum(order.contracts for order in batch.orders if order.customer_id == customer_id)
        assert 10**6 - account.open_contracts >= held
    at_once = [order for order in batch.orders if order.payout == "instant"]
    assert all(leg.debit == 1 and leg.amount > 0 for leg in batch.transfers)
    assert sum(leg.amount for leg in batch.transfers) == sum(order.fair for order in at_once)
    counted = batch.counts()
    assert sum(counts["exercised"] for counts in counted.values()) == len(batch.exercised)
    assert sum(counts["worthless"] for counts in counted.values()) == len(batch.worthless)
    assert sum(counts["left_to_fill"] for counts in counted.values()) == len(batch.orders) - len(at_once)

"""The pay-off picture says what an exercise would pay, and stays inside its frame."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from counter.pricing.formulas import exercise_proceeds
from trade.payoff import HEIGHT, WIDTH, payoff

POSITIVE = {"allow_nan": False, "allow_infinity": False}
tickets = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["C", "P"]),
        "strike": st.integers(1, 2_000_000).map(Decimal),
        "contracts": st.integers(1, 1_000_000),
        "multiplier": st.sampled_from([Decimal("0.01"), Decimal("0.1"), Decimal(1)]),
        "cost": st.decimals(Decimal("0.000001"), Decimal(10**9), places=6, **POSITIVE),
        "index": st.decimals(Decimal("0.01"), Decimal(2_000_000), places=8, **POSITIVE),
    }
)


def places(points):
    return [tuple(map(Decimal, place.split(","))) for place in points.split()]


@given(tickets)
def test_table_has_what_an_exercise_would_pay(ticket):
    cost, index = ticket.pop("cost"), ticket.pop("index")
    shown = payoff(**ticket, cost=cost, index=index)
    prices = [outcome.price for outcome in shown.outcomes]
    assert prices == sorted(set(prices))
    assert ticket["strike"] in prices
    for outcome in shown.outcomes:
        paid = exercise_proceeds(**ticket, settlement_index=outcome.price).proceeds
        assert (outcome.paid, outcome.profit) == (paid, paid - cost)
        assert outcome.profit >= -shown.most_lost


@given(tickets)
def test_profit_turns_at_the_break_even(ticket):
    shown = payoff(**ticket)
    size = ticket["contracts"] * ticket["multiplier"]
    if shown.break_even is None:
        assert ticket["kind"] == "P"
        assert all(outcome.profit < 0 for outcome in shown.outcomes)
        return
    # To a hundredth of a USDT a coin, and what is lost by rounding the coin that is paid down.
    allowed = Decimal("0.01") * size + Decimal("0.00000002") * max(ticket["index"], shown.break_even)
    at = next(outcome for outcome in shown.outcomes if outcome.price == shown.break_even)
    assert abs(at.profit) <= allowed + Decimal("0.00001")


@given(tickets)
def test_picture_stays_in_its_frame_and_goes_from_left_to_right(ticket):
    picture = payoff(**ticket).picture
    line = places(picture.line)
    for x, y in [*line, *places(picture.area)]:
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    for x in (picture.index_x, picture.break_even_x):
        assert x is None or 0 <= x <= WIDTH

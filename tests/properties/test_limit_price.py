"""The limit of a venue order: the worst price that is still acceptable."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from settlement.conversions.converting import limit_within_band
from settlement.venues.protocol import TopOfBook

CENT = Decimal("0.01")


@given(
    bid=st.decimals("0.01", "200000", places=2),
    spread=st.decimals("0.01", "50", places=2),
    side=st.sampled_from(["buy", "sell"]),
)
def test_the_limit_is_on_the_tick_and_inside_the_band(bid, spread, side):
    top = TopOfBook(bid=bid, ask=bid + spread)
    limit = limit_within_band(side, top, CENT)
    assert limit % CENT == 0
    if side == "buy":
        assert limit <= top.ask * Decimal("1.005") < limit + CENT
        assert limit >= top.ask - CENT
    else:
        assert limit >= top.bid * Decimal("0.995") > limit - CENT

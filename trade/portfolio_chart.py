"""The customer's portfolio as people look at it: what it is worth and its profit now, and a line of each over time.

A line is broken where something could not be told: a gap says so, and no line is drawn over it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby

from django.utils.translation import gettext_lazy as _

from counter.market.portfolio import SPANS, PortfolioMoment, history, paid_in_by_customer
from ledger.decimals import calculating
from trade.customer_texts import Text
from trade.holdings import Totals

WIDTH, HEIGHT, MARGIN = 600, 96, 4
TENTH = Decimal("0.1")
ZERO = Decimal(0)
MICROSECOND = timedelta(microseconds=1)
SPAN_NAMES: dict[str, Text] = {"1d": _("1 day"), "1w": _("1 week"), "1y": _("1 year")}
USUAL = "1w"

Amounts = Sequence[tuple[datetime, Decimal | None]]


@dataclass(frozen=True, slots=True)
class AmountLine:
    """An amount over time, USDT: `pieces` are `points` attributes in WIDTH x HEIGHT, one between two gaps each.

    `zero` is the height of nothing, None where that is not drawn; `now` is None where that cannot be told.
    """

    now: Decimal | None
    pieces: list[str]
    zero: Decimal | None
    lowest: Decimal | None
    highest: Decimal | None


@dataclass(frozen=True, slots=True)
class PortfolioChart:
    """`value` is balance and positions, `profit` what of it is not paid in; `gained` is profit of the span alone.

    `at` is the moment of what is told of now; `has_gaps` says that a part of the span could not be told.
    """

    span: str
    value: AmountLine
    profit: AmountLine
    gained: Decimal | None
    begun: datetime | None
    has_gaps: bool
    at: datetime
    spans: Sequence[tuple[str, Text]] = tuple(SPAN_NAMES.items())

    @property
    def span_name(self) -> Text:
        """The span in words."""
        return SPAN_NAMES[self.span]

    @property
    def is_drawn(self) -> bool:
        """Whether there is more than the moment to show."""
        return bool(self.value.pieces)


@calculating()
def portfolio_of(
    *, customer_id: int, balance: Decimal | None, totals: Totals, span: str | None, now: datetime
) -> PortfolioChart:
    """A customer's portfolio over a span, or the usual one, up to `now`; `balance` and `totals` are of then."""
    chosen = span if span is not None and span in SPANS else USUAL
    points = history(customer_id=customer_id, span=chosen, now=now)
    points.append(_present(customer_id, balance, totals, now))
    known = [point for point in points if point.value is not None]
    gained = None
    if len(known) > 1 and points[-1].profit is not None and known[0].profit is not None:
        gained = points[-1].profit - known[0].profit
    return PortfolioChart(
        span=chosen,
        value=_line(points, lambda point: point.value),
        profit=_line(points, lambda point: point.profit, with_zero=True),
        gained=gained,
        begun=known[0].at if known else None,
        has_gaps=any(point.value is None for point in points),
        at=now,
    )


def _present(customer_id: int, balance: Decimal | None, totals: Totals, now: datetime) -> PortfolioMoment:
    """What there is now, as the list of positions tells it."""
    worth = totals.worth if totals.options else ZERO
    if balance is None or worth is None or totals.unpriced or totals.awaited or totals.shrinks:
        return PortfolioMoment(now, None, None)
    value = balance + worth
    return PortfolioMoment(now, value, value - paid_in_by_customer([customer_id]).get(customer_id, ZERO))


@calculating()
def _line(
    points: Sequence[PortfolioMoment],
    of: Callable[[PortfolioMoment], Decimal | None],
    *,
    with_zero: bool = False,
) -> AmountLine:
    amounts = [(point.at, of(point)) for point in points]
    known = [amount for _at, amount in amounts if amount is not None]
    lowest, highest = min(known, default=None), max(known, default=None)
    if lowest is None or highest is None or len(known) < 2:
        return AmountLine(amounts[-1][1], [], None, lowest, highest)
    low, high = (min(lowest, ZERO), max(highest, ZERO)) if with_zero else (lowest, highest)

    def y(amount: Decimal) -> Decimal:
        share = (high - amount) / (high - low) if high > low else Decimal("0.5")
        return (MARGIN + share * (HEIGHT - 2 * MARGIN)).quantize(TENTH, ROUND_HALF_EVEN)

    return AmountLine(amounts[-1][1], _pieces(amounts, y), y(ZERO) if with_zero else None, lowest, highest)


@calculating()
def _pieces(amounts: Amounts, y: Callable[[Decimal], Decimal]) -> list[str]:
    """The parts between gaps; a part of one moment is a line of no length, which is drawn as a dot."""
    first, length = amounts[0][0], amounts[-1][0] - amounts[0][0]

    def x(at: datetime) -> Decimal:
        return (Decimal(WIDTH) * ((at - first) // MICROSECOND) / (length // MICROSECOND)).quantize(
            TENTH, ROUND_HALF_EVEN
        )

    pieces = []
    for is_known, part in groupby(amounts, key=lambda each: each[1] is not None):
        if is_known:
            drawn = [f"{x(at)},{y(amount)}" for at, amount in part if amount is not None]
            pieces.append(" ".join(drawn if len(drawn) > 1 else drawn * 2))
    return pieces

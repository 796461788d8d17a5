"""The index of a coin as people look at it: now, what changed in 24 hours, and a line of the last hour, day or week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.translation import gettext_lazy as _

from counter.market.index_history import SPANS, Point, history
from ledger.decimals import calculating
from trade import numbers
from trade.customer_texts import Text

WIDTH, HEIGHT, MARGIN = 600, 80, 4
TENTH = Decimal("0.1")
MICROSECOND = timedelta(microseconds=1)
SPAN_NAMES: dict[str, Text] = {"1h": _("1 hour"), "1d": _("1 day"), "1w": _("1 week")}
USUAL = "1d"


@dataclass(frozen=True, slots=True)
class IndexChart:
    """`line` and `area` are `points` attributes in WIDTH x HEIGHT, empty where there are not two points yet.

    `price` is the index of now, None where that is not recorded; `change` is the text of what changed in 24 hours,
    empty where that is not recorded; `rises` says which way.
    """

    coin: str
    span: str
    price: Decimal | None
    change: str
    rises: bool
    line: str
    area: str
    lowest: Decimal | None
    highest: Decimal | None
    spans: Sequence[tuple[str, Text]] = tuple(SPAN_NAMES.items())

    @property
    def span_name(self) -> Text:
        """The span in words."""
        return SPAN_NAMES[self.span]


def chart_of(*, coin: str, span: str | None, now: datetime) -> IndexChart:
    """The index of a coin up to `now` over a span, the usual one if there is no such."""
    chosen = span if span is not None and span in SPANS else USUAL
    past = history(coin=coin, span=chosen, now=now)
    points, rate = past.points, past.change
    prices = [point.price for point in points]
    line = draw(points) if len(points) > 1 else ""
    return IndexChart(
        coin=coin,
        span=chosen,
        price=past.now,
        change="" if rate is None else numbers.change(rate),
        rises=rate is not None and rate > 0,
        line=line,
        area=f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}" if line else "",
        lowest=min(prices, default=None),
        highest=max(prices, default=None),
    )


@calculating()
def draw(points: Sequence[Point]) -> str:
    """Points from left to right by their time, from the lowest to the highest price; a flat line is in the middle."""
    first, length = points[0].at, points[-1].at - points[0].at
    low, high = min(point.price for point in points), max(point.price for point in points)
    room = Decimal(HEIGHT - 2 * MARGIN)

    def x(point: Point) -> Decimal:
        # Whole microseconds, of which two points are one apart at least; no float comes near a coordinate either.
        return (Decimal(WIDTH) * ((point.at - first) // MICROSECOND) / (length // MICROSECOND)).quantize(
            TENTH, ROUND_HALF_EVEN
        )

    def y(point: Point) -> Decimal:
        share = (high - point.price) / (high - low) if high > low else Decimal("0.5")
        return (MARGIN + share * room).quantize(TENTH, ROUND_HALF_EVEN)

    return " ".join(f"{x(point)},{y(point)}" for point in points)

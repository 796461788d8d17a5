"""Charts as SVG coordinates, worked out on the server: what refreshes is plain HTML. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

WIDTH, HEIGHT = 600, 140
_MARGIN = 4  # so that a line along an edge is not cut


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines over time by name, as `points` attributes; `top` is the value at the upper edge."""

    points: dict[str, str]
    top: float


def lines(
    series: Sequence[tuple[datetime, dict[str, float]]],
    *,
    names: Sequence[str],
    end: datetime,
    span: timedelta,
) -> Lines:
    """Draw the values of `names` over the `span` until `end`, from zero to a round number above all of them."""
    top = round_top(max((values[name] for _, values in series for name in names), default=0.0))
    places = [(WIDTH * (1 - (end - at) / span), values) for at, values in series]
    height = HEIGHT - 2 * _MARGIN
    points = {
        name: " ".join(
            f"{x:.1f},{HEIGHT - _MARGIN - height * values[name] / top:.1f}" for x, values in places if x >= 0
        )
        for name in names
    }
    return Lines(points, top)


def round_top(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten, 10 at least: an axis that people can read."""
    step = 10.0
    while True:
        for times in (1, 2, 5):
            if value <= step * times:
                return step * times
        step *= 10


def share_percent(part: Decimal | int, whole: Decimal | int) -> float:
    """How much of a bar is filled, 0 to 100."""
    if not whole:
        return 100.0 if part else 0.0
    return round(min(100.0, float(abs(Fraction(part) / Fraction(whole)) * 100)), 2)

"""What a ticket brings at expiry, as a table and as the coordinates of a picture. Pure.

An inverse option pays coin worth |S - K| USDT at the settlement index S, so in USDT the pay-off is two straight lines.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from counter.pricing.formulas import OptionKind, exercise_proceeds
from ledger.decimals import calculating, product

WorthAt = Callable[[Decimal], Decimal | None]
WIDTH, HEIGHT = 400, 200
TODAY_STEPS = 24
MARGIN_X, MARGIN_TOP, MARGIN_BOTTOM = 6, 28, 34  # with room for what is written above and below
# The table has this many settlement prices on each side of the strike; the picture ends at the outermost ones.
STEPS_EACH_SIDE = 3
# How far they reach: so many times as far as the break-even and the index are, and at least this part of the strike.
REACH_TIMES = Decimal(3)
REACH_LEAST = Decimal("0.03")
_NICE = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))
_TENTH = Decimal("0.1")
_CENT = Decimal("0.01")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """At a settlement price: what is paid in USDT, and what is left of that after the cost."""

    price: Decimal
    paid: Decimal
    profit: Decimal


@dataclass(frozen=True, slots=True)
class Picture:
    """Coordinates in WIDTH x HEIGHT: `line`, `area` and `today` are `points` attributes, the others one each.

    `today` is the profit of closing now if the index were there; empty where no model tells.
    """

    line: str
    area: str
    today: str
    zero_y: Decimal
    left_y: Decimal
    right_y: Decimal
    index_x: Decimal
    break_even_x: Decimal | None


@dataclass(frozen=True, slots=True)
class Payoff:
    """`break_even` is None for a put that costs more than it could ever pay."""

    outcomes: list[Outcome]
    break_even: Decimal | None
    lowest: Outcome
    highest: Outcome
    most_lost: Decimal
    picture: Picture


@calculating()
def payoff(
    *,
    kind: OptionKind,
    strike: Decimal,
    contracts: int,
    multiplier: Decimal,
    cost: Decimal,
    index: Decimal,
    worth_at: WorthAt | None = None,
) -> Payoff:
    """Work out the profit in USDT of `contracts` bought for `cost`, at settlement prices around strike and index.

    `multiplier` is coin per contract, `index` USDT for one coin now. `worth_at` tells what the option on one coin is
    worth now at another index, for the line of today.

    Raises: InvalidPricingInput, AmountTooLarge.
    """

    def at(price: Decimal) -> Outcome:
        paid = exercise_proceeds(
            kind=kind, strike=strike, settlement_index=price, contracts=contracts, multiplier=multiplier
        ).proceeds
        return Outcome(price, paid, paid - cost)

    for_each_coin = cost / (multiplier * contracts)
    turn = (strike + for_each_coin if kind == "C" else strike - for_each_coin).quantize(
        _CENT, ROUND_HALF_EVEN
    )
    break_even = turn if turn > _ZERO else None
    prices = {*_prices_around(strike, abs(turn - strike), abs(index - strike))}
    shown = prices if break_even is None else prices | {break_even}
    corners = [at(min(shown | {index})), at(strike), at(max(shown | {index}))]
    return Payoff(
        outcomes=[at(price) for price in sorted(shown)],
        break_even=break_even,
        lowest=corners[0],
        highest=corners[-1],
        most_lost=cost,
        picture=_draw(
            corners,
            today=_today(corners, worth_at, product(multiplier, contracts), cost),
            index=index,
            break_even=break_even,
        ),
    )


@calculating()
def _prices_around(strike: Decimal, *distances: Decimal) -> list[Decimal]:
    """Positive prices at round steps from the strike, far enough to show what is at these distances from it."""
    reach = max(REACH_TIMES * max(distances), REACH_LEAST * strike)
    least = reach / STEPS_EACH_SIDE
    magnitude = Decimal(1).scaleb(least.adjusted())
    step = next(nice * magnitude for nice in _NICE if nice * magnitude >= least)
    steps = range(-STEPS_EACH_SIDE, STEPS_EACH_SIDE + 1)
    return [price for at in steps if (price := strike + at * step) > _ZERO]


@calculating()
def _today(
    corners: Sequence[Outcome], worth_at: WorthAt | None, coin: Decimal, cost: Decimal
) -> list[tuple[Decimal, Decimal]]:
    """Index and profit of closing at it now, at even steps; none where one is not told."""
    if worth_at is None:
        return []
    left, right = corners[0].price, corners[-1].price
    prices = [left + (right - left) * step / TODAY_STEPS for step in range(TODAY_STEPS + 1)]
    worths = [worth_at(price) for price in prices]
    if None in worths:
        return []
    return [
        (price, worth * coin - cost) for price, worth in zip(prices, worths, strict=True) if worth is not None
    ]


@calculating()
def _draw(
    corners: Sequence[Outcome],
    *,
    today: Sequence[tuple[Decimal, Decimal]],
    index: Decimal,
    break_even: Decimal | None,
) -> Picture:
    left, right = corners[0].price, corners[-1].price
    profits = [corner.profit for corner in corners] + [profit for _, profit in today]
    bottom, top = min(*profits, _ZERO), max(*profits, _ZERO)

    def x(price: Decimal) -> Decimal:
        return (MARGIN_X + (price - left) / (right - left) * (WIDTH - 2 * MARGIN_X)).quantize(
            _TENTH, ROUND_HALF_EVEN
        )

    def y(profit: Decimal) -> Decimal:
        share = (top - profit) / (top - bottom)
        return (MARGIN_TOP + share * (HEIGHT - MARGIN_TOP - MARGIN_BOTTOM)).quantize(_TENTH, ROUND_HALF_EVEN)

    line = [(x(corner.price), y(corner.profit)) for corner in corners]
    zero_y = y(_ZERO)
    return Picture(
        line=_points(line),
        area=_points([(x(left), zero_y), *line, (x(right), zero_y)]),
        today=_points([(x(price), y(profit)) for price, profit in today]),
        zero_y=zero_y,
        left_y=line[0][1],
        right_y=line[-1][1],
        index_x=x(index),
        break_even_x=None if break_even is None else x(break_even),
    )


def _points(places: Sequence[tuple[Decimal, Decimal]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)

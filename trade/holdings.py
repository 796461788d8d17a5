"""What a customer holds: one row an option with its positions inside, what each would bring now, and totals of all.

The database adds up positions of the same size, so that 10,000 of them are a few rows here, and the totals are of every
position, on each page. A worth is of closing position by position, as it is done, to the last digit; where size is
charged, of each as if it were closed first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Sum
from django.utils.translation import gettext

from counter.market.closing import Brings, Closing
from counter.models import Option, Position
from counter.models.positions import living
from ledger.decimals import calculating
from trade import customer_texts

OPTIONS_A_PAGE = 20
POSITIONS_A_PAGE = 20
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Worth:
    """USDT that closing would bring now, None where there is no such price; `why` says so then.

    `shrinks`: the price is old, and brings less with every second until a new one comes.
    """

    amount: Decimal | None
    why: customer_texts.Text = ""
    shrinks: bool = False


@dataclass(slots=True)
class Holding:
    """Positions of one option; amounts in USDT. `newest` is the newest position's id.

    `paid` was paid out for parts that were closed. `profit` is None as long as it cannot be told: there is no price,
    or a payout is still to come.
    """

    option: Option
    positions: int = 0
    newest: int = 0
    contracts: int = 0
    remaining: int = 0
    unpaid: int = 0
    cost: Decimal = ZERO
    paid: Decimal = ZERO
    worth: Worth = field(default_factory=lambda: Worth(ZERO))
    inside: "Inside | None" = None

    @property
    def profit(self) -> Decimal | None:
        """What closing all of it now would leave of what it cost."""
        if self.worth.amount is None or self.unpaid:
            return None
        return self.paid + self.worth.amount - self.cost

    @property
    def closed(self) -> int:
        """Contracts that were closed already."""
        return self.contracts - self.remaining

    @property
    def can_close(self) -> bool:
        """Whether something is left of it that has a price."""
        return self.worth.amount is not None and self.remaining > 0

    @property
    def is_single(self) -> bool:
        """Whether there is but one position, which the row itself closes."""
        return self.positions == 1

    @property
    def state(self) -> str:
        """How the positions stand, where that is not as usual."""
        if not self.remaining:
            return str(customer_texts.POSITION_STATES["CLOSING"])
        return gettext("a payout is still to come") if self.unpaid else ""


@dataclass(frozen=True, slots=True)
class Inside:
    """Positions of one option, newest first; `older` is the id before which the next page begins, if there is one."""

    holdings: list[Holding]
    older: int | None
    is_first: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all holdings. `worth` and `profit` count those that have one, and are None where none has.

    `unpriced` options have no price now; `why` is their common reason, or the first one's.
    """

    options: int
    positions: int
    cost: Decimal
    paid: Decimal
    worth: Decimal | None
    profit: Decimal | None
    unpriced: int
    awaited: int
    shrinks: bool
    why: customer_texts.Text


@dataclass(frozen=True, slots=True)
class Holdings:
    """A page of options, and the totals of all of them."""

    rows: list[Holding]
    totals: Totals
    page: int
    pages: int
    opened: str  # the symbol whose positions are shown, or nothing
    before_position: int | None  # they are those with an id below this one

    @property
    def before(self) -> int:
        """The page before this one; 0 on the first."""
        return self.page - 1

    @property
    def after(self) -> int:
        """The next page; 0 on the last."""
        return self.page + 1 if self.page < self.pages else 0


@calculating()
def holdings_of(
    *, customer_id: int, now: datetime, page: int = 1, opened: str | None = None, before: int | None = None
) -> Holdings:
    """A page of what the customer holds at `now`, options with the newest positions first.

    Of the option `opened` (a symbol) the positions are shown too, those with an id below `before`.
    """
    valuation = Valuation(now=now)
    every = _by_option(customer_id, valuation)
    pages = max(1, -(-len(every) // OPTIONS_A_PAGE))
    page = min(page, pages)
    rows = every[(page - 1) * OPTIONS_A_PAGE : page * OPTIONS_A_PAGE]
    shown = next((row for row in rows if row.option.symbol == opened and not row.is_single), None)
    if shown is not None:
        shown.inside = _inside(customer_id, shown.option, before, valuation)
    return Holdings(
        rows,
        _totals(every),
        page,
        pages,
        opened="" if shown is None else shown.option.symbol,
        before_position=None if shown is None else before,
    )


class Valuation:
    """What closing would bring at one moment, in words where there is no price."""

    def __init__(self, *, now: datetime) -> None:
        self._closing = Closing(now=now)

    def worth(self, option: Option, remaining: int, times: int = 1) -> Worth:
        """What `times` positions with `remaining` contracts each would bring; the option's quote has to be loaded."""
        return _worth(self._closing.brings(option, remaining, times))

    def worths_in_turn(self, option: Option, remaining: Iterable[int]) -> list[Worth]:
        """What positions of one option would bring that are closed one after the other; its quote has to be loaded."""
        return [_worth(brings) for brings in self._closing.bring_in_turn(option, remaining)]


def _worth(brings: Brings) -> Worth:
    if brings.why is not None:
        return Worth(None, customer_texts.NO_PRICES[brings.why])
    return Worth(brings.amount, shrinks=brings.is_old)


def _by_option(customer_id: int, valuation: Valuation) -> list[Holding]:
    """Every option that is held, added up from groups of positions of the same size."""
    groups = (
        Position.objects.filter(living(), customer_id=customer_id)
        .order_by()
        .values("option_id", "remaining")
        .annotate(
            times=Count("pk"),
            newest=Max("pk"),
            contracts=Sum("contracts"),
            unpaid=Sum("unpaid"),
            cost=Sum("cost"),
            paid=Sum("proceeds"),
        )
    )
    found = list(groups)
    options = Option.objects.select_related("quote").in_bulk({group["option_id"] for group in found})
    held: dict[int, Holding] = {}
    for group in found:
        option = options[group["option_id"]]
        _add(held.setdefault(option.pk, Holding(option)), group, valuation)
    return sorted(held.values(), key=lambda holding: -holding.newest)


def _add(holding: Holding, group: Mapping[str, Any], valuation: Valuation) -> None:
    times = group["times"]
    worth = valuation.worth(holding.option, group["remaining"], times)
    holding.positions += times
    holding.newest = max(holding.newest, group["newest"])
    holding.contracts += group["contracts"]
    holding.remaining += group["remaining"] * times
    holding.unpaid += group["unpaid"]
    holding.cost += group["cost"]
    holding.paid += group["paid"]
    holding.worth = _sum_of((holding.worth, worth))


def _sum_of(worths: Iterable[Worth]) -> Worth:
    """Of one option: where one position has no price, none has."""
    amount, shrinks = ZERO, False
    for worth in worths:
        if worth.amount is None:
            return worth
        amount += worth.amount
        shrinks = shrinks or worth.shrinks
    return Worth(amount, shrinks=shrinks)


def _inside(customer_id: int, option: Option, before: int | None, valuation: Valuation) -> Inside:
    positions = Position.objects.filter(living(), customer_id=customer_id, option=option).order_by("-pk")
    if before is not None:
        positions = positions.filter(pk__lt=before)
    found = list(positions[: POSITIONS_A_PAGE + 1])
    shown = found[:POSITIONS_A_PAGE]
    return Inside(
        [_single(position, option, valuation) for position in shown],
        shown[-1].pk if len(found) > POSITIONS_A_PAGE else None,
        before is None,
    )


def _single(position: Position, option: Option, valuation: Valuation) -> Holding:
    return Holding(
        option,
        positions=1,
        newest=position.pk,
        contracts=position.contracts,
        remaining=position.remaining,
        unpaid=position.unpaid,
        cost=position.cost,
        paid=position.proceeds,
        worth=valuation.worth(option, position.remaining),
    )


def _totals(every: Sequence[Holding]) -> Totals:
    priced = [holding.worth.amount for holding in every if holding.worth.amount is not None]
    profits = [holding.profit for holding in every if holding.profit is not None]
    unpriced = [holding for holding in every if holding.worth.amount is None]
    return Totals(
        options=len(every),
        positions=sum(holding.positions for holding in every),
        cost=sum((holding.cost for holding in every), ZERO),
        paid=sum((holding.paid for holding in every), ZERO),
        worth=sum(priced, ZERO) if priced else None,
        profit=sum(profits, ZERO) if profits else None,
        unpriced=len(unpriced),
        awaited=sum(1 for holding in every if holding.unpaid),
        shrinks=any(holding.worth.shrinks for holding in every),
        why=unpriced[0].worth.why if unpriced else "",
    )

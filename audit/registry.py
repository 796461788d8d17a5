"""The nine invariants of the design, by number."""

from collections.abc import Callable
from dataclasses import dataclass

from audit.ages import nothing_forgotten
from audit.books import stored_balances, trial_balances
from audit.cash import cash_is_booked, reserved_is_held, withdrawals_fit_their_steps
from audit.clearing import clearing_and_mirror
from audit.conversions import settled_once
from audit.findings import Result
from audit.histories import legal_histories
from audit.order_steps import order_steps
from audit.payouts import legs_of_orders
from audit.reading import Reading
from audit.sync import same_orders
from audit.venue import venue_and_desk
from settlement.venues.protocol import Venue

AskVenue = Callable[[Venue | None], None]
Check = Callable[[Reading, Result], None]


@dataclass(frozen=True, slots=True)
class Invariant:
    """`check` reads the snapshots into a result; what has to wait for the venue it returns, to be called after them."""

    number: int
    name: str
    check: Callable[[Reading, Result], AskVenue | None]


def _all(*checks: Check) -> Check:
    """One check after the other, of one invariant."""

    def check(reading: Reading, result: Result) -> None:
        for each in checks:
            each(reading, result)

    return check


INVARIANTS = (
    Invariant(1, "trial balances are zero in both books", trial_balances),
    Invariant(2, "stored balances are the sum of their transfers", _all(stored_balances, reserved_is_held)),
    Invariant(3, "sync orders and accepted orders are the same", same_orders),
    Invariant(4, "each order is settled once, shares add up to the fills", settled_once),
    Invariant(5, "venue's trades and wallets are the desk's", venue_and_desk),
    Invariant(6, "clearing equals its mirror", clearing_and_mirror),
    Invariant(
        7, "every history is a legal path", _all(legal_histories, order_steps, withdrawals_fit_their_steps)
    ),
    Invariant(8, "nothing unfinished is forgotten", nothing_forgotten),
    Invariant(
        9, "payouts, prices, money in and out are booked exactly once", _all(legs_of_orders, cash_is_booked)
    ),
)

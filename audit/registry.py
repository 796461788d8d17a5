"""The nine invariants of the design, by number."""

from collections.abc import Callable
from dataclasses import dataclass

from audit.ages import nothing_forgotten
from audit.books import stored_balances, trial_balances
from audit.clearing import clearing_and_mirror
from audit.conversions import settled_once
from audit.findings import Result
from audit.histories import legal_histories
from audit.payouts import legs_of_orders
from audit.reading import Reading
from audit.sync import same_orders
from audit.venue import venue_and_desk
from settlement.venues.protocol import Venue

AskVenue = Callable[[Venue | None], None]


@dataclass(frozen=True, slots=True)
class Invariant:
    """`check` reads the snapshots into a result; what has to wait for the venue it returns, to be called after them."""

    number: int
    name: str
    check: Callable[[Reading, Result], AskVenue | None]


INVARIANTS = (
    Invariant(1, "trial balances are zero in both books", trial_balances),
    Invariant(2, "stored balances are the sum of their transfers", stored_balances),
    Invariant(3, "sync orders and accepted orders are the same", same_orders),
    Invariant(4, "each order is settled once, shares add up to the fills", settled_once),
    Invariant(5, "venue's trades and wallets are the desk's", venue_and_desk),
    Invariant(6, "clearing equals its mirror", clearing_and_mirror),
    Invariant(7, "every history is a legal path", legal_histories),
    Invariant(8, "nothing unfinished is forgotten", nothing_forgotten),
    Invariant(9, "payouts and prices are booked exactly once", legs_of_orders),
)

"""The history of `write_history`, written once in a process and put back for each test that begins with it.

To write it costs a quarter of a second of CPU, to put its rows back a twentieth of that. A test that moves the desk's
account at the venue leaves no history to put back: the next one writes another, on another account.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from counter.models import Quote
from tests.support.databases import ALIASES
from tests.support.history import History, write_history
from tests.support.kept_rows import keep, put_back
from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from settlement.venues.protocol import Venue

SCHEMA = "as_written"

Account = tuple[str, str, str]


@dataclass(frozen=True)
class Kept:
    """A history whose rows the databases keep, and what the venue knows of its account."""

    history: History
    account: Account
    at_venue: dict[str, Any]


class KeptHistory:
    """The one of this process, if there is one."""

    def __init__(self, paper_venue: PaperVenue) -> None:
        self._paper_venue = paper_venue
        self._kept: Kept | None = None

    @property
    def account(self) -> Account | None:
        """That of the history that can be put back."""
        return self._kept.account if self._kept else None

    def put_back(self, *, now: datetime) -> None:
        """Give the empty databases its rows; its options are quoted again."""
        put_back(SCHEMA, ALIASES)
        Quote.objects.update(quoted_at=now)

    def written(self, venue: "Venue", account: Account) -> History:
        """The history that was put back, or a new one, on books that are open."""
        if self._kept is None:
            history = write_history(venue)
            keep(SCHEMA, ALIASES)
            self._kept = Kept(history, account, self._at_venue(account))
        return self._kept.history

    def forget_if_moved(self) -> None:
        """After a test: the venue cannot be put back."""
        if self._kept is not None and self._at_venue(self._kept.account) != self._kept.at_venue:
            self._kept = None

    def _at_venue(self, account: Account) -> dict[str, Any]:
        state = self._paper_venue.state(account[0])
        return {name: state[name] for name in ("accounts", "orders", "trades")}

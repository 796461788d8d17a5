"""The history of `write_history`, written once in a process and put back for each test that begins with it.

To write it costs a quarter of a second of CPU, to put its rows back a twentieth of that. A test that moves the desk's
account at the venue leaves no history to put back: the next one writes another, on another account.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connections

from counter.models import Quote
from tests.support.databases import ALIASES
from tests.support.history import History, write_history
from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from settlement.venues.protocol import Venue

# What migrations inserted is kept only where it was changed.
KEEP = """
DO $$
DECLARE
    found record;
    has_rows boolean;
BEGIN
    SET LOCAL client_min_messages = warning;
    DROP SCHEMA IF EXISTS as_written CASCADE;
    CREATE SCHEMA as_written;
    FOR found IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM as_restored.marks
            WHERE relname = found.relname AND marks = as_restored.mark(found.relname)
        );
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', found.relname) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE as_written.%1$I AS TABLE public.%1$I', found.relname);
        END IF;
    END LOOP;
END $$
"""
PUT_BACK = """
DO $$
DECLARE
    written text;
BEGIN
    -- Neither append-only triggers nor foreign keys stand in the way.
    SET LOCAL session_replication_role = replica;
    FOR written IN
        SELECT relname FROM pg_class WHERE relnamespace = 'as_written'::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE format('DELETE FROM public.%I', written);
        EXECUTE format('INSERT INTO public.%1$I SELECT * FROM as_written.%1$I', written);
    END LOOP;
END $$
"""

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
        for alias in ALIASES:
            _run(alias, PUT_BACK)
        Quote.objects.update(quoted_at=now)

    def written(self, venue: "Venue", account: Account) -> History:
        """The history that was put back, or a new one, on books that are open."""
        if self._kept is None:
            history = write_history(venue)
            for alias in ALIASES:
                _run(alias, KEEP)
            self._kept = Kept(history, account, self._at_venue(account))
        return self._kept.history

    def forget_if_moved(self) -> None:
        """After a test: the venue cannot be put back."""
        if self._kept is not None and self._at_venue(self._kept.account) != self._kept.at_venue:
            self._kept = None

    def _at_venue(self, account: Account) -> dict[str, Any]:
        state = self._paper_venue.state(account[0])
        return {name: state[name] for name in ("accounts", "orders", "trades")}


def _run(alias: str, statement: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)

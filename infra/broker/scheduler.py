"""The active-standby beat: of several schedulers one sends the ticks, each tick once.

django-celery-beat has no lock: two of its schedulers send everything twice. Here a tick is claimed in the database by
the leader before it is sent, so the next leader goes on where the last one was, and a tick whose sender dies in
between is not sent at all: every schedule of the project is a sweep that comes round again. What is due at one moment
is claimed in one transaction, and from then on due together.
"""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS, Error, connection, transaction
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from infra.coordination import clock
from infra.coordination.ages import lies_ahead
from infra.coordination.leadership import Leadership, LeadershipLost, Term
from infra.db.arrays import columns

log = structlog.get_logger(__name__)

STANDBY_LOOKS_EVERY_SECONDS = 0.5
LOOKS_FOR_CHANGES_EVERY_SECONDS = 2.0
# A claim is sent within so long: of a broker that is slow or away the rest is claimed anew.
SENT_WITHIN_SECONDS = 0.5
LOOKED_AT_AHEAD_SECONDS = 5.0
# What comes round more rarely is claimed by itself: of a claim that is not sent nothing is left but its next round.
CLAIMED_ALONG_SECONDS = 60
MICROSECOND = 1e-6
CLAIM = """
    UPDATE django_celery_beat_periodictask AS t SET last_run_at = %s, total_run_count = due.runs
    FROM unnest(%s::bigint[], %s::bigint[]) AS due(id, runs)
    WHERE t.id = due.id AND t.enabled RETURNING t.id, clock_timestamp()
"""


class Entry(ModelEntry):
    """A schedule by the database's clock; a last run that lies ahead of it would keep the next one from coming."""

    last_run_at: datetime

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        self.schedule.nowfun = self._default_now
        now = self._default_now()
        if lies_ahead(self.last_run_at, now=now):
            log.warning(
                "a schedule ran in the future: it begins anew", schedule=self.name, at=self.last_run_at
            )
            model.last_run_at = self.last_run_at = now

    def _default_now(self) -> datetime:
        return clock.of(DEFAULT_DB_ALIAS).now()


@dataclass(frozen=True, slots=True)
class _Due:
    """A place of the heap whose time has come, and after how many seconds it comes again."""

    event: Any
    again_after: float


class LeadingScheduler(DatabaseScheduler):
    """Ticks while it leads; on standby it only looks whether it does."""

    Entry = Entry
    _heap: Any  # of the library: what comes when

    def __init__(self, *args: Any, lazy: bool = False, **kwargs: Any) -> None:
        self._leadership = Leadership("beat", using="default")
        self._term: Term | None = None
        self._looked_at = float("-inf")
        self._along: list[_Due] = []  # is due with what is sent now
        self._claims: dict[str, tuple[ModelEntry, datetime | None]] = {}
        super().__init__(*args, lazy=lazy, **kwargs)
        if not lazy:  # a lazy one is only asked for its name
            self._leadership.start()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; seconds until there is something to do again."""
        term = self._leadership.term
        if term is None:
            return STANDBY_LOOKS_EVERY_SECONDS
        try:
            if term is not self._term:
                self._begin(term)
            return super().tick(*args, **kwargs)
        except LeadershipLost:
            pass
        except Error as error:
            log.warning("nothing is scheduled while the database is away", error=repr(error))
            connection.close()
        self._term = None  # what is stored decides what is due
        return STANDBY_LOOKS_EVERY_SECONDS

    def schedule_changed(self) -> bool:
        """Whether somebody has changed a schedule; asked of the database now and then, not at each of many ticks."""
        moment = time.monotonic()
        if moment - self._looked_at < LOOKS_FOR_CHANGES_EVERY_SECONDS:
            return False
        self._looked_at = moment
        return super().schedule_changed()

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """The library has each entry looked at 10 ms before it is due, again and again until it is."""
        return n + drift

    def reserve(self, entry: ModelEntry) -> ModelEntry:
        """Claim this run, and with it every other that is due by now; the entry after it.

        The schedule gets that one at once: the library's own keeps the old one, which is due a second time whenever
        the heap is made anew.

        Raises: LeadershipLost, database errors; nothing is sent then.
        """
        self._along = self._due_along()
        self._claims = self._claim([entry, *(due.event.entry for due in self._along)])
        return self._replace(entry)

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Send the run that was claimed, then those that were claimed with it.

        What cannot be sent soon stays due, and is claimed anew; if the schedule is read anew before that, it comes with
        its next round.
        """
        ends_at = time.monotonic() + SENT_WITHIN_SECONDS
        self._send(entry, producer)
        for number, due in enumerate(self._along):
            old = due.event.entry
            if time.monotonic() >= ends_at or self._term is None or not self._term.holds():
                old.model.total_run_count -= 1
                continue
            following = self._replace(old)
            place = next(place for place, event in enumerate(self._heap) if event is due.event)
            # From the claim on: what was sent last is not due later. No two at one time: a heap would compare entries.
            again_at = following.last_run_at.timestamp() + due.again_after + number * MICROSECOND
            self._heap[place] = due.event._replace(time=again_at, entry=following)
            self._send(old, producer)
        heapq.heapify(self._heap)

    def _due_along(self) -> list[_Due]:
        """What else of the heap is due and comes round within a minute, the longest due first.

        What runs once, or by a calendar, is claimed by itself.
        """
        found, soon = [], clock.of(DEFAULT_DB_ALIAS).now().timestamp() + LOOKED_AT_AHEAD_SECONDS
        for event in sorted(self._heap, key=itemgetter(0)):
            model = event.entry.model
            if event.time > soon:
                break  # an event's time is no earlier than that of its entry, and later by what sending took
            if model.interval_id is None or model.one_off:
                continue
            try:
                is_due, again_after = self.is_due(event.entry)
            except Error:
                raise
            except Exception:  # noqa: BLE001, S112 - the library tells of it when its turn comes
                continue
            if is_due and again_after <= CLAIMED_ALONG_SECONDS:
                found.append(_Due(event, again_after))
        return found

    def _replace(self, entry: ModelEntry) -> ModelEntry:
        following, _ = self._claims[entry.name]
        self._schedule[entry.name] = following
        return following

    def _send(self, entry: ModelEntry, producer: Any) -> None:
        """Send a run, dated by the database's clock."""
        _, claimed_at = self._claims[entry.name]
        if claimed_at is None:
            return
        dated = type(entry)(entry.model, app=entry.app)
        headers = {**entry.options["headers"], "sent_at": claimed_at.isoformat()}
        dated.options = {**entry.options, "headers": headers}
        # From the claim on: what a process sends that was paused in between has expired.
        if isinstance(seconds := entry.options.get("expires"), int):
            dated.options["expires"] = entry.model.last_run_at + timedelta(seconds=seconds)
        super().apply_entry(dated, producer=producer)

    def close(self) -> None:
        """Let a standby tick."""
        super().close()
        self._leadership.stop()

    def _begin(self, term: Term) -> None:
        """Start from what the leader before has stored."""
        self._initial_read = True
        self._heap = None
        self._term = term

    def _claim(self, entries: Sequence[ModelEntry]) -> dict[str, tuple[ModelEntry, datetime | None]]:
        """Store these runs as the leader, all at one moment, so that they are due together from then on.

        By name the entry that follows, and when the run was stored by the database's clock: None if it is off by now.
        """
        if self._term is None:
            raise LeadershipLost("beat")
        followings = [next(entry) for entry in entries]
        now = followings[0].last_run_at
        for each in followings:
            each.last_run_at = each.model.last_run_at = now
        models = [each.model for each in followings]
        with transaction.atomic():
            self._term.fence()
            with connection.cursor() as cursor:
                cursor.execute(CLAIM, [now, *columns(models, ["pk", "total_run_count"])])
                claimed = dict(cursor.fetchall())
        return {each.name: (each, claimed.get(each.model.pk)) for each in followings}

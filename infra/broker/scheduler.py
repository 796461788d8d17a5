"""The active-standby beat: of several schedulers one sends the ticks, each tick once.

django-celery-beat has no lock: two of its schedulers send everything twice. Here a tick is claimed in the database by
the leader before it is sent, so the next leader goes on where the last one was, and a tick whose sender dies in
between is not sent at all: every schedule of the project is a sweep that comes round again.
"""

import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS, Error, connection, transaction
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from infra.coordination import clock
from infra.coordination.ages import lies_ahead
from infra.coordination.leadership import Leadership, LeadershipLost, Term

log = structlog.get_logger(__name__)

STANDBY_LOOKS_EVERY_SECONDS = 0.5
LOOKS_FOR_CHANGES_EVERY_SECONDS = 2.0
CLAIM = """
    UPDATE django_celery_beat_periodictask SET last_run_at = %s, total_run_count = %s
    WHERE id = %s AND enabled RETURNING clock_timestamp()
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


class LeadingScheduler(DatabaseScheduler):
    """Ticks while it leads; on standby it only looks whether it does."""

    Entry = Entry

    def __init__(self, *args: Any, lazy: bool = False, **kwargs: Any) -> None:
        self._leadership = Leadership("beat", using="default")
        self._term: Term | None = None
        self._looked_at = float("-inf")
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

    def reserve(self, entry: ModelEntry) -> ModelEntry:
        """Claim this run; the entry after it.

        The schedule gets that one at once: the library's own keeps the old one, which is due a second time whenever
        the heap is made anew.

        Raises: LeadershipLost, database errors; nothing is sent then.
        """
        following = next(entry)
        following.claimed_at = self._claim(following)
        self._schedule[following.name] = following
        return following

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Send the run that was claimed, dated by the database's clock."""
        claimed_at = self._schedule[entry.name].claimed_at
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

    def _claim(self, entry: ModelEntry) -> datetime | None:
        """Store this run as the leader; when, by the database's clock, or None if the schedule is off by now."""
        if self._term is None:
            raise LeadershipLost("beat")
        model = entry.model
        with transaction.atomic():
            self._term.fence()
            with connection.cursor() as cursor:
                cursor.execute(CLAIM, [model.last_run_at, model.total_run_count, model.pk])
                row = cursor.fetchone()
        return row[0] if row else None

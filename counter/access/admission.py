"""Admitting requests: a signature is taken once, and nobody asks faster than allowed, through however many processes.

What the requests of a process bring at once is asked of the database together, by the one thread of a
`infra.coordination.group_queue`: a lone one waits for nobody, and a crowd shares two statements. Invariant: without an
answer about a signature its request is not admitted; without one about a limit it is, for the limits protect us and
must not lock customers out.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import OperationalError, connection

from counter.access import nonces, rate_limit
from counter.access.key_uses import KeyUses
from counter.access.rate_limit import Limit, LimitStatus
from infra.coordination import clock
from infra.coordination.group_queue import Entry, GroupQueue, OutcomeUnknown
from infra.coordination.waiting import wake

log = structlog.get_logger(__name__)
_NOW = clock.of("default").now

WAITING_REQUESTS = 2048
REQUESTS_AT_A_TIME = 1000
ANSWER_WITHIN_SECONDS = 3.0
WITHOUT_LIMITS_FOR_SECONDS = (
    5.0  # after they could not be asked: what waits for each failure is our customers
)
WITHOUT_TIME_PAUSE_SECONDS = 0.1
FORGOTTEN_EVERY = timedelta(seconds=1)
FORGOTTEN_AFTER = timedelta(seconds=10)  # a signature may be looked up a while after it was checked
# A crash of the server may forget the signatures of its last half second; an order sent again is still the same order.
SET_UP = """
    SELECT set_config('synchronous_commit', 'off', false), set_config('lock_timeout', '1s', false),
           set_config('statement_timeout', '2s', false), set_config('plan_cache_mode', 'force_generic_plan', false)
"""


class AdmissionRefused(Exception):
    """The request is not carried out."""


class Replayed(AdmissionRefused):
    """The signature was taken before."""


class TooFast(AdmissionRefused):
    """A limit has nothing left; `standing` says until when."""

    def __init__(self, standing: LimitStatus) -> None:
        super().__init__(f"at most {standing.limit} at once")
        self.standing = standing


@dataclass(frozen=True, slots=True)
class SignatureUse:
    """A signature that fits its request, by which key, and until when it would be accepted otherwise."""

    signature: str
    key_id: int
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Asking:
    """What has to be asked of the database before a request is carried out."""

    use: SignatureUse | None = None
    limits: tuple[Limit, ...] = ()


class _Entry(Entry):
    """One request, and what has become of it."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.standing: LimitStatus | None = None

    def give_up(self, reason: str) -> None:
        """Only what is not known of a signature keeps its request out."""
        if self.asking.use is not None:
            super().give_up(reason)
        self.is_answered = True

    def result(self) -> LimitStatus | None:
        if self.error is not None:
            raise self.error
        if not self.is_answered and self.asking.use is not None:
            raise OutcomeUnknown("the database did not say whether the signature was used")
        return self.standing


class _Bounds:
    """Of the requests that wait (`group_queue.Bounds`); the server ends statements that take too long."""

    waiting = WAITING_REQUESTS
    together = REQUESTS_AT_A_TIME
    stuck_after_seconds = None
    crowd_returns_within_seconds = 0.0


class Admissions:
    """The requests that wait, and the thread that asks for them."""

    def __init__(self, *, clock: Callable[[], datetime] = _NOW) -> None:
        self._clock = clock
        self._limits_again_at = 0.0  # by the monotonic clock
        self._uses = KeyUses()
        self._has_taken = False  # signatures, since old ones were cleared away
        self._forgotten_at: datetime | None = None
        self._queue: GroupQueue[_Entry] = GroupQueue(
            self._ask,
            name="admission",
            bounds=_Bounds(),
            at_end=self._end,
            idle_seconds=self._uses.seconds_until_due,
        )

    def admit(self, asking: Asking) -> LimitStatus | None:
        """Wait until the request may be carried out; where the scarcest of its limits stands then, if that is known.

        Raises: Replayed, TooFast, QueueFull, OutcomeUnknown.
        """
        entry = _Entry(asking)
        self._queue.wait(entry, seconds=ANSWER_WITHIN_SECONDS)
        return entry.result()

    async def admit_soon(
        self, asking: Asking, *, seconds: float = ANSWER_WITHIN_SECONDS
    ) -> LimitStatus | None:
        """`admit` for coroutines: only the caller waits, no longer than `seconds`."""
        entry = _Entry(asking)
        await self._queue.wait_soon(entry, seconds=seconds)
        return entry.result()

    def stop(self) -> None:
        """Answer what waits, and end the thread and its connection; a later request starts it again."""
        self._queue.stop()

    def _ask(self, entries: Sequence[_Entry]) -> None:
        try:
            now = self._clock()
        except OperationalError as error:
            self._refuse(entries, error)
            time.sleep(WITHOUT_TIME_PAUSE_SECONDS)
            return
        if entries:
            self._decide(entries, now=now)
            wake(entry.waiter for entry in entries)
            self._uses.note(_used(entries), now=now)
        if self._uses.are_due():
            self._uses.write(now=now, connect=self._set_up)
        self._forget_signatures(now)

    def _end(self) -> None:
        try:
            with suppress(OperationalError):
                self._uses.write(now=self._clock(), connect=self._set_up)
        finally:
            connection.close()

    def _refuse(self, entries: Sequence[_Entry], error: Exception) -> None:
        """Without the time nothing is known of a signature or a limit: the waiting are told to come again."""
        log.warning("requests could not be admitted", requests=len(entries), error=repr(error))
        for entry in entries:
            entry.answer(OutcomeUnknown(str(error)))
        wake(entry.waiter for entry in entries)

    def _decide(self, entries: Sequence[_Entry], *, now: datetime) -> None:
        """Signatures first: a request that is sent again uses nothing up of its customer's limits."""
        self._take_signatures([entry for entry in entries if entry.asking.use is not None], now)
        self._grant([entry for entry in entries if entry.error is None and entry.asking.limits], now)
        for entry in entries:
            entry.is_answered = True

    def _take_signatures(self, entries: Sequence[_Entry], now: datetime) -> None:
        uses = {
            entry.asking.use.signature: entry.asking.use.valid_until for entry in entries if entry.asking.use
        }
        if not uses:
            return
        try:
            self._set_up()
            self._has_taken = True
            taken = nonces.take_all(uses)
        except Exception as error:  # noqa: BLE001 - after any error it is not known whether they were used
            log.warning("signatures could not be looked up", requests=len(entries), error=repr(error))
            connection.close()
            for entry in entries:
                entry.error = OutcomeUnknown("the database did not say whether the signature was used")
            return
        for entry in entries:
            if entry.asking.use and entry.asking.use.signature in taken:
                taken.remove(entry.asking.use.signature)  # of two copies in one crowd the first is taken
            else:
                entry.error = Replayed()

    def _grant(self, entries: Sequence[_Entry], now: datetime) -> None:
        if not entries or time.monotonic() < self._limits_again_at:
            return
        asked = Counter(limit for entry in entries for limit in entry.asking.limits)
        try:
            self._set_up()
            granted = rate_limit.grant(asked, now=now)
        except Exception as error:  # noqa: BLE001 - the invariant: no error locks anybody out
            log.warning("limits could not be asked, requests go on without", error=repr(error))
            connection.close()
            self._limits_again_at = time.monotonic() + WITHOUT_LIMITS_FOR_SECONDS
            return
        left = {limit: count for limit, (count, _) in granted.items()}
        for entry in entries:
            for limit in entry.asking.limits:
                left[limit] -= 1
                standing = granted[limit][1]
                if left[limit] < 0 and entry.error is None:
                    entry.error = TooFast(standing)
                if entry.standing is None or standing.remaining < entry.standing.remaining:
                    entry.standing = standing

    def _forget_signatures(self, now: datetime) -> None:
        """Clear away those whose time is over, now and then; what fails is done another time."""
        is_too_soon = self._forgotten_at is not None and abs(now - self._forgotten_at) < FORGOTTEN_EVERY
        if is_too_soon or not self._has_taken:
            return
        self._forgotten_at, self._has_taken = now, False
        try:
            self._set_up()
            nonces.clear(before=now - FORGOTTEN_AFTER)
        except Exception as error:  # noqa: BLE001 - requests go on after any error
            log.warning("old signatures could not be cleared away", error=repr(error))
            connection.close()

    def _set_up(self) -> None:
        if connection.connection is None:
            with connection.cursor() as cursor:
                cursor.execute(SET_UP)


def _used(entries: Sequence[_Entry]) -> set[int]:
    """The keys that were used, not those of copies."""
    return {
        entry.asking.use.key_id
        for entry in entries
        if entry.asking.use and not isinstance(entry.error, (Replayed, OutcomeUnknown))
    }


admissions = Admissions()

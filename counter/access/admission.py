"""Admitting requests: a signature is taken once, and nobody asks faster than he may, through however many processes.

What the requests of a process bring at once is asked of the database together, by one thread: a lone one waits for
nobody, and a crowd shares two statements. Invariant: without an answer about a signature its request is not admitted;
without one about a limit it is, for the limits protect us and must not lock customers out.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.utils import timezone

from counter.access import nonces, pace
from counter.access.key_uses import KeyUses
from counter.access.pace import Limit, Standing
from counter.ordering.gate import GateFull, OutcomeUnknown
from counter.waiting import LoopWaiter, ThreadWaiter, Waiter, wake

log = structlog.get_logger(__name__)

WAITING_REQUESTS = 2048
REQUESTS_AT_A_TIME = 1000
ANSWER_WITHIN_SECONDS = 3.0
WITHOUT_LIMITS_FOR_SECONDS = (
    5.0  # after they could not be asked: what waits for each failure is our customers
)
FORGOTTEN_EVERY = timedelta(seconds=1)
FORGOTTEN_AFTER = timedelta(seconds=10)  # by how much the clocks of web machines may differ
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

    def __init__(self, standing: Standing) -> None:
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


class _Entry:
    """One request, and what has become of it."""

    __slots__ = ("asking", "error", "is_answered", "standing", "waiter")

    def __init__(self, asking: Asking, waiter: Waiter) -> None:
        self.asking = asking
        self.waiter = waiter
        self.error: Exception | None = None
        self.standing: Standing | None = None
        self.is_answered = False

    def result(self) -> Standing | None:
        if self.error is not None:
            raise self.error
        if not self.is_answered and self.asking.use is not None:
            raise OutcomeUnknown("the database did not say whether the signature was used")
        return self.standing


class Admissions:
    """The requests that wait, and the thread that asks for them, which is started again if it has died."""

    def __init__(self, *, clock: Callable[[], datetime] = timezone.now) -> None:
        self._clock = clock
        self._waiting: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._asker: threading.Thread | None = None
        self._limits_again_at: datetime | None = None
        self._uses = KeyUses()
        self._has_taken = False  # signatures, since old ones were cleared away
        self._forgotten_at = clock()

    def admit(self, asking: Asking) -> Standing | None:
        """Wait until the request may be carried out; where the scarcest of its limits stands then, if that is known.

        Raises: Replayed, TooFast, GateFull, OutcomeUnknown.
        """
        waiter = ThreadWaiter()
        entry = self._enter(asking, waiter)
        waiter.wait(seconds=ANSWER_WITHIN_SECONDS)
        return entry.result()

    async def admit_soon(self, asking: Asking) -> Standing | None:
        """`admit` for coroutines: only the caller waits."""
        waiter = LoopWaiter()
        entry = self._enter(asking, waiter)
        await waiter.wait(seconds=ANSWER_WITHIN_SECONDS)
        return entry.result()

    def stop(self) -> None:
        """Answer what waits, and end the thread and its connection; a later request starts it again."""
        with self._changed:
            asker, self._asker = self._asker, None
            self._changed.notify_all()
        if asker is not None:
            asker.join()

    def _enter(self, asking: Asking, waiter: Waiter) -> _Entry:
        entry = _Entry(asking, waiter)
        with self._changed:
            if len(self._waiting) >= WAITING_REQUESTS:
                raise GateFull(f"{len(self._waiting)} requests wait already")
            if self._asker is None or not self._asker.is_alive():
                self._asker = threading.Thread(target=self._ask, name="admission", daemon=True)
                self._asker.start()
            self._waiting.append(entry)
            self._changed.notify()
        return entry

    def _ask(self) -> None:
        try:
            while (entries := self._gather()) is not None:
                now = self._clock()
                if entries:
                    self._decide(entries, now=now)
                    wake(entry.waiter for entry in entries)
                    self._uses.note(_used(entries), now=now)
                if self._uses.are_due():
                    self._uses.write(now=now, connect=self._set_up)
                self._forget_signatures(now)
            self._uses.write(now=self._clock(), connect=self._set_up)
        finally:
            connection.close()

    def _gather(self) -> list[_Entry] | None:
        """Wait for a first request, and take along what else is there; None when it is time to end.

        Nothing comes of it when there is something else to do meanwhile.
        """
        with self._changed:
            me = threading.current_thread()
            if not self._waiting and self._asker is me:
                self._changed.wait(timeout=self._uses.seconds_until_due())
            if self._asker not in (me, None) or (self._asker is None and not self._waiting):
                return None  # there is a successor, or an end
            count = min(len(self._waiting), REQUESTS_AT_A_TIME)
            return [self._waiting.popleft() for _ in range(count)]

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
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not known whether they were used
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
        if not entries or (self._limits_again_at is not None and now < self._limits_again_at):
            return
        asked = Counter(limit for entry in entries for limit in entry.asking.limits)
        try:
            self._set_up()
            granted = pace.grant(asked, now=now)
            self._limits_again_at = None
        except Exception as error:  # noqa: BLE001 - the invariant: whatever it is, nobody is locked out
            log.warning("limits could not be asked, requests go on without", error=repr(error))
            connection.close()
            self._limits_again_at = now + timedelta(seconds=WITHOUT_LIMITS_FOR_SECONDS)
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
        if not self._has_taken or now - self._forgotten_at < FORGOTTEN_EVERY:
            return
        self._forgotten_at, self._has_taken = now, False
        try:
            self._set_up()
            nonces.clear(before=now - FORGOTTEN_AFTER)
        except Exception as error:  # noqa: BLE001 - whatever it is, requests go on
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

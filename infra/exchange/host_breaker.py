"""A circuit breaker for each host of a venue, shared by all processes of this machine that call it, reads included.

What a host says of the caller's address (a ban, too many requests, a firewall, a region) concerns everybody who calls
from it, and each call under a ban makes it longer. So the hearer writes it down in a small file under VAR_DIR,
and until it has ended nobody sends anything. Then one call tries, and the others follow when it has been answered.

Times are those of the machine's monotonic clock, which its processes share and nobody can set. Where the file cannot be
written (a full disk, another owner) each process keeps to what it has heard itself.
"""

import fcntl
import json
import math
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import msgspec
import structlog
from django.conf import settings

from infra.exchange.lean_ccxt import ccxt

log = structlog.get_logger(__name__)

BANNED, TOO_MANY, FORBIDDEN, RESTRICTED = 418, 429, 403, 451
# How long a host that names no time is left alone: longer each time in a row.
PAUSE_SECONDS = {
    BANNED: (60.0, 120.0, 300.0),
    TOO_MANY: (1.0, 2.0, 5.0, 10.0),
    FORBIDDEN: (10.0, 15.0, 30.0, 45.0, 60.0),
    RESTRICTED: (10.0, 15.0, 30.0, 45.0, 60.0),
}
# The most that a host may ask for; after that it is tried all the same. Binance bans for three days at most, and counts
# requests by the minute.
LONGEST_SECONDS = {BANNED: 3 * 86_400.0, TOO_MANY: 3600.0, FORBIDDEN: 3600.0, RESTRICTED: 86_400.0}
IN_A_ROW_SECONDS = 600.0
TRIAL_SECONDS = 8.0  # longer than any call lasts
OF_ORDERS = "-1015"  # too many orders of an account, which says nothing of reads and other accounts
# The share of the address's weight from which reads are slowed down, and from which they wait for the next minute.
SLOW_FROM_PERCENT, STOP_FROM_PERCENT = 70, 95
SLOWEST_SECONDS = 2.0
WEIGHT_HEADER = "x-mbx-used-weight-1m"
WEIGHT_LIMIT = re.compile(r'"rateLimitType" *: *"REQUEST_WEIGHT".{0,80}?"limit" *: *(\d+)')
LIMITS_WITHIN = 4000  # characters of an exchangeInfo, which begins with them

# Alone with the file for longer than this is nobody who lives.
LOCK_SECONDS = 1.0

now_seconds = time.monotonic


class HeldBack(ccxt.DDoSProtection):
    """Nothing was sent: the host has refused this machine's address, or is about to.

    `kind` is "HeldBack", or "RateLimitExceeded" where a moment's patience is all it takes.
    """

    def __init__(self, message: str, *, kind: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds


class _State(msgspec.Struct):
    """What is written down of a host that has refused this address; times in seconds of the monotonic clock."""

    status: int
    told_at: float
    until: float
    in_a_row: int
    trial_until: float = 0.0
    is_over: bool = False


class Breaker:
    """The breaker of the host of `url`."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        name = re.sub(r"[^A-Za-z0-9.-]", "_", self._host)
        self._path = Path(settings.VAR_DIR) / "venue-breakers" / f"{name}.json"

    def enter(self, *, is_read: bool) -> None:
        """Called before each call. Raises: HeldBack, and then nothing may be sent."""
        if self._is_noted():
            with self._locked():
                self._refuse_if_open()
        if is_read:
            self._slow_down()

    def note(self, status: int, headers: Mapping[str, Any], url: str, body: str) -> None:
        """Called with each answer."""
        said = {str(name).lower(): str(value) for name, value in (headers or {}).items()}
        _note_weight(self._host, said, url, body)
        if self._concerns_all(status, body):
            with self._locked():
                self._open(status, retry_after_seconds(status, said))
        elif status < 500 and self._is_noted():
            with self._locked():
                self._close()

    def is_open(self) -> bool:
        """Whether nothing may be sent, or a call is trying whether it may; asking changes nothing."""
        state = self._read() if self._is_noted() else None
        return state is not None and not state.is_over

    def forget(self) -> None:
        """Let everybody call again."""
        _unwritten.pop(self._path, None)
        with _despite_disk_errors():
            self._path.unlink(missing_ok=True)

    def _is_noted(self) -> bool:
        """Whether there is anything to look at; what cannot even be looked for is not there."""
        with suppress(OSError):
            return self._path in _unwritten or self._path.exists()
        return False

    @staticmethod
    def _concerns_all(status: int, body: str) -> bool:
        if status == TOO_MANY:
            return _code(body) != OF_ORDERS
        return status in (BANNED, RESTRICTED) or (status == FORBIDDEN and _code(body) in ("", str(FORBIDDEN)))

    def _refuse_if_open(self) -> None:
        state, now = self._read(), now_seconds()
        if state is None or state.is_over:
            if state is not None and now > state.until + IN_A_ROW_SECONDS:
                self.forget()
            return
        if now < state.until:
            raise self._held_back(state, state.until - now)
        if now < state.trial_until:
            message = f"{self._host} is being tried whether it answers again"
            raise HeldBack(message, kind="RateLimitExceeded", retry_after_seconds=1.0)
        state.trial_until = now + TRIAL_SECONDS
        self._write(state)

    def _held_back(self, state: _State, seconds: float) -> HeldBack:
        kind = "RateLimitExceeded" if state.status == TOO_MANY else "HeldBack"
        message = f"{self._host} has answered {state.status}: nothing is sent for another {seconds:.0f} s"
        return HeldBack(message, kind=kind, retry_after_seconds=seconds)

    def _open(self, status: int, asked_for: float | None) -> None:
        before, now = self._read(), now_seconds()
        is_again = before is not None and now < before.until + IN_A_ROW_SECONDS
        # What was under way when it began is the same refusal.
        is_same = before is not None and not before.is_over and now < before.until
        in_a_row = 1 if before is None or not is_again else before.in_a_row + (not is_same)
        steps = PAUSE_SECONDS[status]
        pause = steps[min(in_a_row, len(steps)) - 1] if asked_for is None else asked_for
        until = now + pause
        if before is not None and is_same:
            until = max(until, before.until)
        else:
            log.warning("venue refuses this address", host=self._host, status=status, seconds=round(pause))
        self._write(_State(status=status, told_at=now, until=until, in_a_row=in_a_row))

    def _close(self) -> None:
        """The host answers again; an answer to what was sent before it refused says nothing."""
        state = self._read()
        if state is not None and not state.is_over and now_seconds() >= state.until:
            state.is_over = True
            self._write(state)
            log.info("venue answers this address again", host=self._host)

    def _read(self) -> _State | None:
        state = _unwritten.get(self._path)
        if state is None:
            try:
                state = msgspec.json.decode(self._path.read_bytes(), type=_State)
            except (OSError, msgspec.DecodeError):
                return None
        # From before the machine was started anew, when the clock began again; or nothing that was written here.
        now = now_seconds()
        last = now + LONGEST_SECONDS[BANNED]
        is_ours = state.told_at <= now and state.until <= last and state.trial_until <= now + TRIAL_SECONDS
        return state if is_ours and state.in_a_row > 0 else None

    def _write(self, state: _State) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(state))
            fresh.replace(self._path)
        except OSError as error:
            _unwritten[self._path] = state
            log.warning("what a venue says of this address cannot be written down", error=repr(error))
        else:
            _unwritten.pop(self._path, None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the file among all threads and processes; where it cannot be locked, among the threads."""
        with _threads, ExitStack() as held:
            with _despite_disk_errors():
                self._path.parent.mkdir(parents=True, exist_ok=True)
                lock = held.enter_context(self._path.with_suffix(".lock").open("w"))
                _lock_soon(lock)
            yield

    def _slow_down(self) -> None:
        """Wait, the longer the nearer the host's limit is; what it tells counts every process of this address."""
        ends_at, used = _weights.get(self._host, (0.0, 0))
        limit = settings.VENUE_WEIGHT_PER_MINUTE or _limits.get(self._host)
        seconds = ends_at - now_seconds()
        if not limit or seconds <= 0:
            return
        percent = 100 * used // limit
        if percent >= STOP_FROM_PERCENT:
            message = f"{used} of {limit} weight used at {self._host}"
            raise HeldBack(message, kind="RateLimitExceeded", retry_after_seconds=seconds)
        if percent > SLOW_FROM_PERCENT:
            time.sleep(
                SLOWEST_SECONDS * (percent - SLOW_FROM_PERCENT) / (STOP_FROM_PERCENT - SLOW_FROM_PERCENT)
            )


_weights: dict[
    str, tuple[float, int]
] = {}  # by host: when the venue's minute ends, and how much was used in it
_limits: dict[str, int] = {}  # by host, as its exchangeInfo tells


# What could not be written down, by file; and the threads of this process are alone with it one at a time.
_unwritten: dict[Path, _State] = {}
_threads = threading.Lock()


def _lock_soon(lock: IO[str]) -> None:
    """Raises: OSError when somebody holds it for LOCK_SECONDS, such as a process that was stopped meanwhile."""
    ends_at = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                raise
            time.sleep(0.005)
        else:
            return


def _new_threads() -> None:
    global _threads
    _threads = threading.Lock()


os.register_at_fork(after_in_child=_new_threads)


def guard(exchange: Any) -> None:
    """Put a ccxt exchange behind the breakers of the hosts it calls."""
    fetch, noted = exchange.fetch, exchange.on_rest_response
    breakers: dict[str, Breaker] = {}

    def breaker(url: str) -> Breaker:
        return breakers.setdefault(urlsplit(url).netloc, Breaker(url))

    def guarded(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        with _despite_disk_errors():
            breaker(url).enter(is_read=method == "GET")
        return fetch(url, method, headers, body)

    def note(status: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> Any:
        with _despite_disk_errors():
            breaker(url).note(status, headers, url, body)
        return noted(status, reason, url, method, headers, body, *rest)

    exchange.fetch, exchange.on_rest_response = guarded, note


@contextmanager
def _despite_disk_errors() -> Iterator[None]:
    """An answer that came must not be lost because nothing can be written down of it."""
    try:
        yield
    except OSError as error:
        log.warning("breaker is out of order", error=repr(error))


def _note_weight(host: str, headers: Mapping[str, str], url: str, body: str) -> None:
    used = small_number(headers.get(WEIGHT_HEADER, ""))
    if used is not None:
        _weights[host] = (now_seconds() + _left_of_minute(headers.get("date", "")), used)
    if "exchangeInfo" in url and (told := WEIGHT_LIMIT.search(body[:LIMITS_WITHIN])):
        _limits[host] = int(told[1])


def small_number(text: str) -> int | None:
    """A count in a header, of nine digits at most; None for anything else."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _left_of_minute(date: str) -> float:
    """Seconds to the end of the host's minute, by the date of its answer; a whole one when it tells none."""
    with suppress(TypeError, ValueError):
        return 60.0 - parsedate_to_datetime(date).second
    return 60.0


def _code(body: str) -> str:
    """The venue's own code in a refusal; blank when it is not the venue that speaks."""
    with suppress(ValueError):
        answer = json.loads(body or "")
        if isinstance(answer, dict):
            return str(answer.get("code", ""))
    return ""


def retry_after_seconds(status: int | None, headers: Mapping[str, Any]) -> float | None:
    """What Retry-After asks for, in seconds or as a date, up to LONGEST_SECONDS; None when it says nothing sensible."""
    said = {str(name).lower(): str(value).strip() for name, value in headers.items()}
    told = said.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        seconds = _seconds_until(told, said.get("date", ""))
    # To those of whom it was too much it may say "at once"; of a ban that makes no sense.
    if not 0 <= seconds < math.inf or (seconds == 0 and status != TOO_MANY):
        return None
    return min(seconds, LONGEST_SECONDS.get(status or 0, LONGEST_SECONDS[TOO_MANY]))


def _seconds_until(date: str, now: str) -> float:
    """From one date of a host to another; NaN unless both are dates, for no other clock is the host's."""
    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(now)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return math.nan

"""Wake-ups: a chain of tasks that this process sends at a due time, so that what is due does not wait for a sweep.

The due time itself is stored with what it is for: a wake-up that is lost with its process costs the wait for the next
sweep and nothing else. Only processes that say so have any: the workers, and the intake process.
"""

import threading
import time

from infra.broker.dispatcher import Steps, dispatcher

_lock = threading.Lock()
_pending: dict[str, tuple[float, threading.Timer]] = {}  # by what is sent: when, by the monotonic clock
_is_on = False


def start() -> None:
    """From now on this process has wake-ups."""
    global _is_on
    _is_on = True


def stop() -> None:
    """Forget those that are pending, and have no more."""
    global _is_on
    with _lock:
        _is_on = False
        for _, timer in _pending.values():
            timer.cancel()
        _pending.clear()


def call_in(seconds: float, steps: Steps) -> None:
    """Send a chain in `seconds`, unless this process sends the same one sooner."""
    if not _is_on:
        return
    key, at = repr(steps), time.monotonic() + max(seconds, 0.0)
    with _lock:
        if key in _pending:
            earlier, timer = _pending[key]
            if earlier <= at:
                return
            timer.cancel()
        timer = threading.Timer(max(seconds, 0.0), _send, [key, at, steps])
        timer.daemon = True
        _pending[key] = (at, timer)
        timer.start()


def _send(key: str, at: float, steps: Steps) -> None:
    with _lock:
        if _pending.get(key, (None,))[0] != at:
            return  # cancelled, or replaced by a sooner one, at the last moment
        del _pending[key]
    dispatcher.send(steps)

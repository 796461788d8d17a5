"""Does the desk's work in a process of its own that is killed at a named point: `python -m tests.recovery.doomed`.

Reads one task a line from stdin, works on it in a fork, and tells the fork's pid and how it ended, a line of JSON
each. The points lie before and after every commit, call, acknowledgement and report on the way of an order.
"""

import importlib
import json
import os
import signal
import sys
from typing import Any

# name: (module or class, attribute, whether it is called before the kill)
POINTS: dict[str, tuple[str, str, bool]] = {
    "before the orders are stored": ("acceptance.recovery", "ingest", False),
    "before the orders are acknowledged": ("acceptance.counter_client", "acknowledge", False),
    "after the orders are acknowledged": ("acceptance.counter_client", "acknowledge", True),
    "before the plan is committed": ("settlement.history", "begin_attempt", True),
    "before the order is sent": ("settlement.venues.ccxt_venue.CcxtVenue", "submit", False),
    "before the answer is stored": ("settlement.venues.ccxt_venue.CcxtVenue", "submit", True),
    "after the answer is stored": ("settlement.history", "end_attempt", True),
    "before the fills are committed": ("settlement.outcomes", "insert", True),
    "after the fills are committed": ("settlement.conversion", "after_report", True),
    "before the shares are committed": ("settlement.balancing", "_post_legs", True),
    "after the shares are committed": ("settlement.balancing", "book", True),
    "before the settlements are reported": ("acceptance.counter_client", "report", False),
    "before it is noted that they are": ("acceptance.counter_client", "report", True),
    "after it is noted that they are": ("settlement.reporting", "report_settled", True),
}


def main() -> None:
    import django

    django.setup()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                work(json.loads(line))
            except BaseException as error:  # noqa: BLE001 - told in the exit status, and on stderr
                sys.stderr.write(f"{error!r}\n")
                os._exit(1)
            os._exit(0)
        tell({"pid": pid})
        tell({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


def tell(what: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def work(task: dict[str, Any]) -> None:
    """The desk's whole work on what waits at counter, to the end or to the kill."""
    from django.conf import settings
    from django.utils import timezone

    from acceptance import recovery
    from settlement import balancing, reporting
    from settlement.tasks import convert

    for name, value in task["settings"].items():
        setattr(settings, name, value)
    if task["point"]:
        trap(*POINTS[task["point"]])
    recovery.pull_unsynced(min_age_ms=0, now=timezone.now())
    convert("BTC")
    balancing.balance_filled(now=timezone.now())
    reporting.report_settled(clock=timezone.now)


def trap(place: str, attribute: str, is_called_first: bool) -> None:
    """Kill this process where `attribute` is called."""
    owner = find(place)
    real = getattr(owner, attribute)

    def killed(*args: Any, **kwargs: Any) -> None:
        if is_called_first:
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, attribute, killed)


def find(place: str) -> Any:
    parts = place.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise LookupError(place)


if __name__ == "__main__":
    main()

"""Does a process's work and is killed at a named point of it: `python -m tests.recovery.doomed`.

Reads one task a line from stdin, works on it in a fork, and tells the fork's pid and how it ended, a line of JSON
each. The points are those of `tests.recovery.points`.
"""

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.recovery.points import POINTS, Moment, Point, Work

DAY_IS_OVER = timedelta(days=1, minutes=10)
BAND_THAT_IS_LEFT = {"BTC": {"low": Decimal(0), "target": Decimal(1), "high": Decimal(2)}}


def main() -> None:
    import django

    django.setup()
    importlib.import_module("config.urls")  # what every fork would else read anew
    importlib.import_module("granian.server.embed")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                do(json.loads(line))
            except BaseException as error:  # noqa: BLE001 - told in the exit status, and on stderr
                sys.stderr.write(f"{error!r}\n")
                os._exit(1)
            os._exit(0)
        tell({"pid": pid})
        tell({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


def tell(what: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def do(task: dict[str, Any]) -> None:
    """The work, to its end, to SIGTERM or to the kill."""
    from django.conf import settings

    for name, value in task["settings"].items():
        setattr(settings, name, value)
    if task["point"]:
        if task["work"] == Work.INTAKE:
            pull_nothing()  # or the queue's points might not be reached
        trap(POINTS[task["point"]])
    WORK[Work(task["work"])]()


def pull_nothing() -> None:
    from acceptance import counter_client

    counter_client.pull = lambda **_: []


def serve() -> None:
    """The web process: its own application and server, on the port of COUNTER_URL."""
    from django.conf import settings
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from config.asgi import application

    async def until_told() -> None:
        port = int(settings.COUNTER_URL.rsplit(":", 1)[1])
        server = Server(
            application, port=port, interface=Interfaces.ASGI, log_enabled=False, websockets=False
        )
        # SIGTERM is the application's own; the server has to hear the other one.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, server.stop)
        await server.serve()

    asyncio.run(until_told())


def intake() -> None:
    """The intake process, by its own command."""
    from django.core.management import call_command

    call_command("intake")


def settle() -> None:
    """The worker's whole work on what waits at counter."""
    from django.utils import timezone

    from acceptance import pulling as recovery
    from settlement.conversions import balancing
    from settlement.counter_link import reporting
    from settlement.tasks import convert

    recovery.pull_unsynced(min_age_ms=0, now=timezone.now())
    convert("BTC")
    balancing.balance_filled(now=timezone.now())
    reporting.report_settled(clock=timezone.now)


def balance() -> None:
    """The chain's second task, by itself."""
    from settlement.tasks import balance as task

    task()


def ask() -> None:
    """The sweep, at a moment when each conversion whose outcome is unknown is due."""
    from django.utils import timezone

    from settlement.conversions import sweep as recovery
    from settlement.venues.ccxt_venue import venue

    recovery.resume(venue=venue(), now=timezone.now() + timedelta(seconds=9))


def move_funds() -> None:
    """The treasury's task, with a wallet above its band."""
    from django.conf import settings

    from settlement.tasks import rebalance

    settings.WALLET_BANDS = BAND_THAT_IS_LEFT
    rebalance()


def expire() -> None:
    """The sweep's task, in chunks of two positions."""
    from counter.expiring import expiry
    from counter.tasks import expire as task

    expiry.CHUNK_POSITIONS = 2
    task()


def work_on_days() -> None:
    """The task that states and closes days, when the day of the test is over."""
    from django.utils import timezone

    from cockpit import day_work
    from settlement.venues.ccxt_venue import venue

    day_work.work_off(clock=lambda: timezone.now() + DAY_IS_OVER, venue=venue())


def pay() -> None:
    """The task that has approved payments of clearing booked."""
    from settlement.tasks import pay_clearing

    pay_clearing()


WORK: dict[Work, Callable[[], None]] = {
    Work.WEB: serve,
    Work.WALLET: serve,
    Work.INTAKE: intake,
    Work.SETTLE: settle,
    Work.REFUSED: settle,
    Work.BESIDE: settle,
    Work.BALANCE: balance,
    Work.ASK: ask,
    Work.TREASURY: move_funds,
    Work.PAY: pay,
    Work.PAID: serve,
    Work.DAY: work_on_days,
    Work.EXPIRE: expire,
}


def trap(point: Point) -> None:
    """Kill this process at the point."""
    place, attribute = point.place.rsplit(".", 1)
    owner = find(place)
    real = getattr(owner, attribute)
    inside = threading.local()

    def watched(*args: Any, **kwargs: Any) -> Any:
        if point.moment is Moment.BEFORE:
            die()
        inside.it = True
        try:
            result = real(*args, **kwargs)
        finally:
            inside.it = False
        if point.moment is Moment.AFTER:
            die()
        return result

    if point.moment in (Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT):
        trap_commits(point.moment, lambda: getattr(inside, "it", False))
    setattr(owner, attribute, watched)


def trap_commits(moment: Moment, is_meant: Callable[[], bool]) -> None:
    """Kill this process at the first commit that is meant."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def doomed_commit(connection: Any) -> None:
        if is_meant() and moment is Moment.BEFORE_COMMIT:
            die()
        commit(connection)
        if is_meant():
            die()

    BaseDatabaseWrapper._commit = doomed_commit  # type: ignore[attr-defined]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


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

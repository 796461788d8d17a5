"""A stack of Crossbook to measure: started on new databases, with customers who have money, watched and audited."""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from tools import stack
from tools.bench import readiness
from tools.bench.load.job import Job
from tools.bench.servers import READY_WITHIN_SECONDS, Servers
from tools.bench.watch import Watch
from tools.stack.lifecycle import StackInfo

CUSTOMERS = 256
DEPOSIT_USDT = Decimal(100_000_000)
SYMBOLS_BY_COIN = 16
DRAINED_WITHIN_SECONDS = 600.0
# The caller's environment, before the addresses of a stack are set in it: those of one are not the next one's.
GIVEN = dict(os.environ)
# What belongs to the caller's own stack has no business in this one.
NOT_INHERITED = {
    "VAR_DIR",
    "MARKET_DATA",
    "COUNTER_URL",
    "COUNTER_SOURCE",
    "STACK_NAME",
    "SYNC_QUEUE",
    "SENTRY_DSN",
}


@dataclass
class Bed:
    """A running stack and what loads need of it."""

    info: StackInfo
    servers: Servers
    tokens: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    is_warm: bool = False

    @property
    def watch(self) -> Watch:
        """Over the stack's programs and the servers that work for it."""
        return Watch(self._pids)

    @property
    def source(self) -> str:
        """Counter's name at the desk."""
        from django.conf import settings

        return settings.COUNTER_SOURCE

    def _pids(self) -> dict[str, int]:
        apps = {process.name: process.pid for process in self.info.processes if process.pid}
        return {name: process.pid for name, process in self.servers.processes.items()} | apps

    def job(self, **terms: Any) -> Job:
        """A job for this stack, with an id of its own."""
        return Job(
            url=self.info.web_url,
            tokens=self.tokens,
            symbols=self.symbols,
            run_id=f"bench-{uuid4().hex[:10]}",
            **terms,
        )

    def drain(self) -> float | None:
        """Wait until the desk has reported every order; the seconds that took, None when it never did."""
        from tools.demo.figures import all_reported

        started = time.monotonic()
        while time.monotonic() - started < DRAINED_WITHIN_SECONDS:
            if all_reported():
                return time.monotonic() - started
            time.sleep(0.05)
        return None

    def pace(self, paced: bool) -> None:
        """Have the orders of every coin paced by the desk, or all of them admitted (`manage.py trading unpace`)."""
        from django.conf import settings
        from django.utils import timezone

        from counter.trading.pacing import set_paced

        for coin in settings.COINS:
            set_paced(
                underlying=coin,
                paced=paced,
                reason="counter alone is measured",
                by="bench",
                now=timezone.now(),
            )

    def audit(self) -> dict[str, Any]:
        """Audit both books and the venue."""
        from django.utils import timezone

        import audit
        from settlement.venues.ccxt_venue import venue

        report = audit.run(now=timezone.now(), venue=venue())
        return {
            "broken": report.broken,
            "in_flight": report.in_flight,
            "unchecked": report.unchecked,
            "seconds": round(report.seconds, 1),
            "findings": [
                f"{result.number} {finding.what}, {finding.where}: {finding.detail}"
                for result in report.results
                for finding in result.broken.listed[:5]
            ],
        }

    @contextmanager
    def frozen(self, programs: Collection[str] | None = None) -> Iterator[None]:
        """Stop the stack's processes for a while, so that they take nothing from whom is measured meanwhile.

        `programs` names those to be stopped; all of them and the venue, if it does not.
        """
        apps = {process.name: process.pid for process in self.info.processes if process.pid}
        apps["venue"] = self.servers.processes["venue"].pid
        stopped = []
        for pid in (pid for name, pid in apps.items() if programs is None or name in programs):
            with suppress(psutil.NoSuchProcess):
                first = psutil.Process(pid)
                stopped += [first, *first.children(recursive=True)]
        try:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def refresh_symbols(self) -> None:
        """Choose what is traded by the prices of now: nothing of it expires soon. Raises: StackFailed."""
        from tools.demo.market import near_the_money

        self.symbols = near_the_money(by_coin=SYMBOLS_BY_COIN)
        if not self.symbols:
            raise stack.StackFailed("no option is quoted")


@contextmanager
def made(
    servers: Servers, var_dir: Path, tell: Callable[[str], object], *, venue: Sequence[str] = ()
) -> Iterator[Bed]:
    """A stack in `var_dir` on new databases, until the block ends; `tell` gets one line a step. Raises: StackFailed."""
    with ExitStack() as stopping:
        tell("new databases")
        servers.new_databases("crossbook", "desk")
        var_dir.mkdir(parents=True, exist_ok=True)
        stopping.enter_context(servers.venue(var_dir, *venue))
        stopping.callback(stack.stop, var_dir=var_dir)
        inherited = {name: value for name, value in GIVEN.items() if name not in NOT_INHERITED}
        info = stack.start(
            var_dir=var_dir,
            given=inherited | servers.environment,
            tell=tell,
            within_seconds=READY_WITHIN_SECONDS,
        )
        _set_up_django(info.environment)
        stopping.callback(_forget_connections)
        tell("prices, open books, customers")
        bed = Bed(info, servers)
        readiness.wait(what="the start", tell=tell)
        bed.refresh_symbols()
        bed.tokens = _customers()
        yield bed


def _set_up_django(environment: Mapping[str, str]) -> None:
    """Load the settings, once, with the addresses of the stacks, which are the same for each stack of a run."""
    os.environ.update(environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    import django

    django.setup()
    from django.conf import settings

    settings.VAR_DIR = Path(environment["VAR_DIR"])  # all that differs from one to the next


def _forget_connections() -> None:
    from django.db import connections

    connections.close_all()


def _customers() -> list[str]:
    """Tokens of new customers with more money than they can spend."""
    from django.db import transaction
    from django.utils import timezone

    from tools.demo.customers import fund_one

    with transaction.atomic():  # one commit for all
        return [
            fund_one(reference=f"bench-{number}", amount=DEPOSIT_USDT, run_id="bench", now=timezone.now())[1]
            for number in range(CUSTOMERS)
        ]

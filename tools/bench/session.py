"""One run of the bench: its sizes, its servers, the stack that is measured, and what went wrong on the way."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from tools.bench import bed, readiness
from tools.bench.bed import Bed
from tools.bench.load.job import Outcome
from tools.bench.servers import Servers
from tools.bench.sizes import Sizes
from tools.bench.validity import judged
from tools.stack.phases import Phases

DESK = ("intake", "intake-standby", "worker", "beat", "beat-standby", "prices", "flower")


@dataclass
class Session:
    """What scenarios share. `trouble` holds what makes the run fail: broken books, lost orders, invalid figures.

    `loads` holds what became of the orders of each measurement.

    `waited` holds what passes between measurements.

    `client_alone_per_s` and `capacity_per_s` (orders that can be taken) are zero until a scenario has measured them.
    """

    sizes: Sizes
    servers: Servers
    console: Console
    audits: list[dict[str, Any]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    client_alone_per_s: float = 0.0
    capacity_per_s: float = 0.0
    waited: Phases = field(default_factory=Phases)
    _started_at: float = field(default_factory=time.monotonic)
    _bed: Bed | None = None
    _is_paused: bool = False
    _stopping: ExitStack = field(default_factory=ExitStack)

    def bed(self) -> Bed:
        """The stack that runs; one is started when it is asked for first."""
        return self._bed or self.new_bed("stack")

    def new_bed(self, name: str, *, venue: Sequence[str] = ()) -> Bed:
        """A stack on new databases in place of the one that runs; `venue` are further options of its paper venue."""
        if self._bed is not None:
            with self.doing("stopping the stack"):
                self.stop()
        with self.doing(f"starting {name}"):
            made = bed.made(self.servers, self.servers.var_dir / name, tell=self._say, venue=venue)
            self._bed = self._stopping.enter_context(made)
        return self._bed

    def stop(self) -> None:
        """Stop the stack, if one runs."""
        self._bed = None
        self._stopping.close()

    @contextmanager
    def without_desk(self) -> Iterator[None]:
        """Measure counter alone: all that it is offered in the block is admitted and waits for the desk.

        Paced by the desk are orders again once it has worked everything off (`ready`, `drain`).
        """
        bed = self.bed()
        bed.pace(False)
        with bed.frozen(DESK):
            yield

    @contextmanager
    def without_stack(self) -> Iterator[None]:
        """Keep a running stack from taking time from whom is measured in the block."""
        if self._bed is None or self._is_paused:
            yield
            return
        self._is_paused = True
        try:
            with self._bed.frozen():
                yield
        finally:
            self._is_paused = False

    def ready(self, before: str) -> None:
        """Wait until nothing hinders the orders of the measurement that comes. Raises: StackFailed."""
        bed = self.bed()
        with self.waited.measured("getting ready"):
            if bed.drain() is not None:
                bed.pace(True)
            readiness.wait(what=before, tell=self._say)
            bed.refresh_symbols()

    def judge(
        self, what: str, outcome: Outcome, *, may_be_overloaded: bool = False, may_be_refused: bool = False
    ) -> str | None:
        """Note what became of the orders; why no figure may be taken from them, None if one may."""
        found = judged(what, outcome, may_be_overloaded=may_be_overloaded, may_be_refused=may_be_refused)
        self.loads.append(found.figures())
        if found.fault:
            self.trouble.append(f"{what}: {found.fault}")
        return found.fault

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what goes on while it goes on, and how many seconds the run has taken so far."""
        if self.console.is_terminal:
            with self.console.status(f"{self._elapsed}  {what}"):
                yield
        else:
            self._say(what)
            yield

    @property
    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._started_at:5.0f} s"

    def _say(self, step: str) -> None:
        self.console.print(f"{self._elapsed}  {step}", style="dim", markup=False)

    def note(self, line: str) -> None:
        """Say a figure as soon as it is known."""
        self.console.print(f"{'':9}{line}")

    def drain(self, after: str) -> float | None:
        """Wait until every order is reported; the seconds that took, None when some never were."""
        with self.doing(f"{after}: waiting for the last report"), self.waited.measured("last reports"):
            drained = self.bed().drain()
        self.bed().pace(True)
        if drained is None:
            self.trouble.append(f"after {after}: accepted orders were never reported")
        return drained

    def prove(self, after: str) -> None:
        """Wait until every order is reported, then audit."""
        drained = self.drain(after)
        with self.doing(f"{after}: auditing"), self.waited.measured("audits"):
            audited = self.bed().audit()
        self.audits.append({"after": after, "drained_seconds": drained} | audited)
        if audited["broken"] or audited["unchecked"]:
            self.trouble.append(
                f"after {after}: the audit found {audited['broken']} broken, unchecked {audited['unchecked']}"
            )

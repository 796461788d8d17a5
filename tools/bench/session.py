"""One run of the bench: its sizes, its servers, the stack that is measured, and what went wrong on the way."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from bench import bed
from bench.bed import Bed
from bench.servers import Servers
from bench.sizes import Sizes

DESK = ("intake", "intake-standby", "worker", "beat", "beat-standby", "flower")


@dataclass
class Session:
    """What scenarios share. `trouble` holds what makes the run fail: broken books and lost orders.

    `client_alone_per_s` and `capacity_per_s` (orders that can be taken) are zero until a scenario has measured them.
    """

    sizes: Sizes
    servers: Servers
    console: Console
    audits: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    client_alone_per_s: float = 0.0
    capacity_per_s: float = 0.0
    _started_at: float = field(default_factory=time.monotonic)
    _bed: Bed | None = None
    _stopping: ExitStack = field(default_factory=ExitStack)

    def bed(self) -> Bed:
        """The stack that runs; one is started when it is asked for first."""
        return self._bed or self.new_bed("stack")

    def new_bed(self, name: str) -> Bed:
        """A stack on new databases in place of the one that runs."""
        if self._bed is not None:
            with self.doing("stopping the stack"):
                self.stop()
        with self.doing(f"starting {name}"):
            made = bed.made(self.servers, self.servers.var_dir / name, tell=self._say)
            self._bed = self._stopping.enter_context(made)
        return self._bed

    def stop(self) -> None:
        """Stop the stack, if one runs."""
        self._bed = None
        self._stopping.close()

    def without_desk(self) -> AbstractContextManager[None]:
        """Measure counter alone: what it takes in the block waits for the desk, which works it off afterwards."""
        return self.bed().frozen(DESK)

    @contextmanager
    def without_stack(self) -> Iterator[None]:
        """Keep a running stack from taking time from whom is measured in the block."""
        if self._bed is None:
            yield
        else:
            with self._bed.frozen():
                yield

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

    def prove(self, after: str) -> float | None:
        """Wait until every order is reported, then audit; the seconds the waiting took, None when some never were."""
        assert self._bed is not None
        with self.doing(f"{after}: waiting for the last report, auditing"):
            drained = self._bed.drain()
            audited = self._bed.audit()
        self.audits.append({"after": after, "drained_seconds": drained} | audited)
        if drained is None:
            self.trouble.append(f"after {after}: accepted orders were never reported")
        if audited["broken"] or audited["unchecked"]:
            self.trouble.append(
                f"after {after}: the audit found {audited['broken']} broken, unchecked {audited['unchecked']}"
            )
        return drained

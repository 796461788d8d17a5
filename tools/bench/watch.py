"""CPU seconds and memory of whole programs: a program is its process and all that descend from it."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Mebibytes of one program: `pss` counts what processes share once in all, `rss` in each of them."""

    pss: float
    rss: float


NOTHING = Memory(pss=0.0, rss=0.0)


class Watch:
    """Reads the programs whose first processes `pids` names at that moment."""

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids

    def cpu_seconds(self) -> dict[str, float]:
        """User and system seconds of each program so far, those of children that have ended included."""
        return {
            name: sum(sum(times[:4]) for times in _of_each(family, psutil.Process.cpu_times))
            for name, family in self._families().items()
        }

    def memory(self) -> dict[str, Memory]:
        """What each program holds now."""
        found = {}
        for name, family in self._families().items():
            used = _of_each(family, psutil.Process.memory_full_info)
            found[name] = Memory(
                pss=round(sum(each.pss for each in used) / MEBIBYTE, 1),
                rss=round(sum(each.rss for each in used) / MEBIBYTE, 1),
            )
        return found

    def _families(self) -> dict[str, list[psutil.Process]]:
        families = {}
        for name, pid in self._pids().items():
            with suppress(psutil.NoSuchProcess):
                first = psutil.Process(pid)
                families[name] = [first, *first.children(recursive=True)]
        return families


def _of_each(family: list[psutil.Process], read: Callable[[psutil.Process], Any]) -> list[Any]:
    """What can be read of the processes that are still there."""
    found = []
    for process in family:
        with suppress(psutil.NoSuchProcess):
            found.append(read(process))
    return found


class Followed:
    """CPU and memory of the programs over one run."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._memory = [self._watch.memory()]
        self._cpu = self._watch.cpu_seconds()
        self._used: dict[str, float] = {}

    def until_end(self, seconds: float, *, at_end: Callable[[], object] = lambda: None) -> None:
        """Note memory in the middle and everything at the end of `seconds` from now, after `at_end` is called there."""
        ends_at = time.monotonic() + seconds
        time.sleep(seconds / 2)
        self._memory.append(self._watch.memory())
        time.sleep(max(0.0, ends_at - time.monotonic()))
        at_end()
        self._used = {
            name: round(now - self._cpu.get(name, 0.0), 2) for name, now in self._watch.cpu_seconds().items()
        }
        self._memory.append(self._watch.memory())

    def figures(self) -> dict[str, Any]:
        """By program: CPU seconds, and mebibytes at start, middle and end."""
        return {
            "cpu_seconds": self._used,
            "memory_mib": {
                name: {
                    "pss": [memory.get(name, NOTHING).pss for memory in self._memory],
                    "rss": [memory.get(name, NOTHING).rss for memory in self._memory],
                }
                for name in self._memory[0]
            },
        }

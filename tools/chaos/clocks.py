"""Clocks of single programs that jump: ahead or back, by two minutes or by an hour, and right again afterwards.

The program itself is as it always is. `wrong_clock/sitecustomize.py` stands on the stack's PYTHONPATH and gives its
process a wall clock that is read from a file; see there.
"""

import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.chaos.injections import Injection
from tools.chaos.wrong_clock.sitecustomize import OFFSET

FOLDER = Path(__file__).resolve().parent / "wrong_clock"
JUMPS_SECONDS = (3600.0, -3600.0, 120.0, -120.0)
# They take no part in trading, or are no process of the product's.
RIGHT = {"postgres", "valkey", "venue", "flower"}


class Jump:
    """The wall clock of one program set apart from the machine's, by what the seed decides."""

    def __init__(self, program: str, file: Path) -> None:
        self.name = f"jump:{program}-clock"
        self._file = file

    def begin(self, seed: int) -> None:
        """Jump."""
        self._set(random.Random(seed).choice(JUMPS_SECONDS))

    def end(self) -> None:
        """Jump back to the right time."""
        self._set(0.0)

    def _set(self, seconds: float) -> None:
        with self._file.open("r+b", buffering=0) as file:
            file.write(OFFSET.pack(seconds))


def prepared(
    var_dir: Path, programs: Sequence[str], *, given: Mapping[str, str]
) -> tuple[dict[str, str], list[Injection]]:
    """The environment in which the programs have clocks of their own, which are right, and what sets them wrong."""
    folder = var_dir / "clocks"
    folder.mkdir()
    jumps: list[Injection] = []
    for program in programs:
        if program not in RIGHT:
            (folder / program).write_bytes(OFFSET.pack(0.0))
            jumps.append(Jump(program, folder / program))
    path = os.pathsep.join(filter(None, [str(FOLDER), given.get("PYTHONPATH")]))
    return {"CHAOS_CLOCKS": str(folder), "PYTHONPATH": path}, jumps

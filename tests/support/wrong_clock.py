"""Programs whose clock is wrong, or goes wrong while they run: `wrong_clock.c` between them and the C library.

libfaketime is of no use here: it holds a lock at every reading of a clock, so that a process that is forked meanwhile
never gets it, and refuses to sleep until a time of the monotonic clock, as `time.sleep` does.
"""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.skips import needs

SOURCE = Path(__file__).with_suffix(".c")


class WrongClock:
    """The wall clock of the programs that are started with its `environment`; their monotonic clocks stay right."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip(needs("gcc libc6-dev", "wrong clocks of processes were not tried"))
        self._library = folder / "wrong_clock.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run([*command, "-o", str(self._library), str(SOURCE), "-ldl"], check=True)
        self._offset = os.open(folder / "clock", os.O_CREAT | os.O_RDWR)
        self.leap(hours=0)

    def leap(self, *, hours: float) -> None:
        """Set it so many hours ahead, to the second, from one moment to the next."""
        os.pwrite(self._offset, struct.pack("=q", round(hours * 3600)), 0)

    def close(self) -> None:
        """No more leaps."""
        os.close(self._offset)

    @property
    def environment(self) -> dict[str, str]:
        """Of a program that has this clock."""
        return {"LD_PRELOAD": str(self._library), "WRONG_CLOCK_FILE": str(self._library.parent / "clock")}

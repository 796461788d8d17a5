"""A disk of its own for a folder, so small that it can be filled: a file system in a file."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tools.cluster.network import Unable

CHUNK = 2**20


class Disk:
    """Mounted at `folder`; its content lies in a file beside it."""

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        self.folder = folder
        self._file = folder.with_suffix(".disk")
        self._filling = folder / "filling"
        self._megabytes = megabytes

    def mount(self) -> None:
        """Make it, empty. Raises: Unable where the kernel or its tools cannot."""
        if shutil.which("mkfs.ext4") is None:
            raise Unable("no mkfs.ext4 (Debian: e2fsprogs)")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.open("wb") as file:
            file.truncate(self._megabytes * 2**20)
        for command in (
            ["mkfs.ext4", "-q", "-m", "0", str(self._file)],
            ["mount", "-o", "loop", str(self._file), str(self.folder)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Unable(f"{command[0]}: {done.stderr.strip()}")

    def fill(self) -> None:
        """Leave no byte."""
        with self._filling.open("ab", buffering=0) as filling:
            for size in (CHUNK, 4096, 1):
                with suppress(OSError):
                    while True:
                        filling.write(bytes(size))
            with suppress(OSError):
                os.fsync(filling.fileno())

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filling.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Nothing of it is left."""
        subprocess.run(["umount", "-l", str(self.folder)], check=False, stderr=subprocess.DEVNULL)
        self._file.unlink(missing_ok=True)

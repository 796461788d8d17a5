"""Where each thing lies under VAR_DIR.

Invariant: what grants access (sockets, data, keys) lies in a folder that only its owner can enter.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 elsewhere, the closing NUL included.
SOCKET_PATH_MAX_BYTES = 103
LONGEST_SOCKET_NAME = "supervisor.sock.1234567890"  # supervisord binds NAME.PID first


class FolderNotPrivate(Exception):
    """A folder that must be ours alone belongs to somebody else or can be entered by others."""


def var_dir_of(environment: Mapping[str, str]) -> Path:
    """VAR_DIR, or `var/` of this checkout."""
    return absolute(Path(environment.get("VAR_DIR") or Path(__file__).resolve().parents[2] / "var"))


def absolute(var_dir: Path) -> Path:
    return Path(os.path.realpath(var_dir))


def digest(var_dir: Path) -> str:
    """Short name of this VAR_DIR, for what has to lie outside it."""
    return hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:16]


def state_file(var_dir: Path) -> Path:
    return var_dir / "stack.json"


def log_file(var_dir: Path, program: str) -> Path:
    return var_dir / "log" / f"{program}.log"


def socket_folder(var_dir: Path) -> Path:
    """Folder of the unix sockets: `run/` of VAR_DIR, or one under /tmp when VAR_DIR lies too deep for a socket."""
    inside = var_dir / "run"
    if len(os.fsencode(inside / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES:
        return inside
    # Not TMPDIR: two shells that differ in it must find the same socket.
    return Path("/tmp") / f"crossbook-{os.geteuid()}-{digest(var_dir)}"  # noqa: S108 - checked by private_folder


def private_folder(folder: Path) -> Path:
    """Make `folder` (mode 700) or check that it is ours alone.

    Raises: FolderNotPrivate when somebody else made it first or others can enter it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise FolderNotPrivate(f"{folder} has to be a folder of your own with mode 700") from None
    return folder


def write_private(file: Path, text: str) -> None:
    """Replace `file` in one step; readable by its owner only."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, file)

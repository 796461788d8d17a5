"""What was answered with 201 is there, and what was not is found by its client order id, if PostgreSQL fails."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import OperationalError, connections
from rest_framework.authtoken.models import Token

from config.settings.places import database_of
from infra.db.engine.base import DatabaseWrapper
from infra.db.transient_errors import is_transient
from tests.support import ending
from tests.support.commits import CommitCutter, Cut
from tests.support.databases import conninfo, copy_rows
from tests.support.factories import make_customer, make_option
from tests.support.public_ids import row
from tests.support.template import kept_data
from tests.support.web import Web
from tools.embedded import places, postgres
from tools.stack.readiness import databases_answer
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
SOON = 60.0
CLIENTS = 6
ORDERS_EACH = 60


class Server:
    """A PostgreSQL of our own that can be stopped as by a power cut, and waits for the disk."""

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self.url = postgres.url(var_dir=places.absolute(var_dir), database="crossbook")
        self.socket = str(places.socket_folder(places.absolute(var_dir)) / postgres.SOCKET_NAME)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tools.embedded", "--var-dir", str(self._var_dir), "postgres"]
        command += ["--copy-of", str(kept_data())]
        with (self._var_dir / "log.txt").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if not wait_until(lambda: databases_answer([self.url]), within_seconds=SOON):
            ending.kill(self._process)
            raise AssertionError((self._var_dir / "log.txt").read_text()[-3000:])

    def stop(self, number: signal.Signals) -> None:
        ending.end(self._process, asked_by=number, within_seconds=SOON)

    def stored(self) -> dict[str, list[int]]:
        """The orders by their client order id."""
        found: dict[str, list[int]] = {}
        with psycopg.connect(self.url) as connection:
            for name, order_id in connection.execute("SELECT client_order_id, id FROM counter_syncorder"):
                found.setdefault(name, []).append(order_id)
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("postgres"))
    yield made
    made.stop(signal.SIGINT)


@pytest.fixture(scope="module")
def way(server: Server) -> Iterator[CommitCutter]:
    """The web process's way to the server."""
    made = CommitCutter(server.socket)
    yield made
    made.close()


@pytest.fixture(scope="module")
def web(
    django_db_setup: None,
    django_db_blocker: Any,
    broker: str,
    server: Server,
    way: CommitCutter,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    with django_db_blocker.unblock():
        made = Web(
            tmp_path_factory.mktemp("web"),
            DATABASE_URL=f"postgresql://{postgres.ROLE}@127.0.0.1:{way.port}/crossbook",
            QUOTE_STALE_AFTER_SECONDS="600",
        )
    yield made
    made.stop()


class Customer:
    """Sends orders, and each again under its id until it is answered."""

    def __init__(self, web: Web, number: int, token: str, symbol: str) -> None:
        self._url, self._number, self._symbol = web.url, number, symbol
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Token {token}"
        self.placed: dict[str, int] = {}
        self.refusals: list[requests.Response] = []

    def send(self, name: str) -> requests.Response | None:
        """One answer; None when there was none."""
        order = {"type": "open", "client_order_id": name, "symbol": self._symbol, "contracts": 1}
        try:
            return self.http.post(f"{self._url}/api/v1/orders", json=order, timeout=SOON)
        except requests.ConnectionError:
            return None

    def place_all(self, progress: threading.Semaphore) -> None:
        deadline = time.monotonic() + SOON
        for order in range(ORDERS_EACH):
            name = f"d{self._number}-{order}"
            while name not in self.placed:
                assert time.monotonic() < deadline
                answer = self.send(name)
                if answer is not None and answer.status_code == 201:
                    self.placed[name] = row(answer.json()["id"])
                    progress.release()
                elif answer is not None:
                    self.refusals.append(answer)
                    time.sleep(0.1)

    def close(self) -> None:
        self.http.close()


@pytest.fixture
def customers(web: Web, server: Server) -> Iterator[list[Customer]]:
    symbol = make_option().symbol
    tokens = [Token.objects.create(user=make_customer().user).key for _ in range(CLIENTS)]
    copy_rows(source=conninfo("default"), target=server.url)
    made = [Customer(web, number, token, symbol) for number, token in enumerate(tokens)]
    yield made
    for customer in made:
        customer.close()


def test_every_201_outlives_a_database_that_stops_at_once_under_load(web, server, customers):
    progress = threading.Semaphore(0)
    with ThreadPoolExecutor(CLIENTS) as pool:
        placing = [pool.submit(customer.place_all, progress) for customer in customers]
        for _ in range(CLIENTS * ORDERS_EACH // 4):
            assert progress.acquire(timeout=SOON)
        server.stop(signal.SIGQUIT)
        assert wait_until(lambda: any(customer.refusals for customer in customers), within_seconds=SOON)
        server.start()
        for each in placing:
            each.result(SOON)
    stored = server.stored()
    for customer in customers:
        assert len(customer.placed) == ORDERS_EACH
        for name, order_id in customer.placed.items():
            assert stored[name] == [order_id]
        for refusal in customer.refusals:
            assert refusal.status_code == 503
            assert refusal.json()["error"]["code"] in ("unavailable", "overloaded")
            assert "Retry-After" in refusal.headers


@pytest.mark.parametrize("cut", list(Cut))
def test_a_connection_cut_during_the_commit_is_answered_clearly_and_places_one_order(
    web, server, way, customers, cut
):
    customer = customers[0]
    first = customer.send("before")
    assert first is not None
    assert first.status_code == 201
    way.arm(cut)
    answer = customer.send("cut")
    assert not way.is_armed
    assert answer is not None
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers
    is_placed = cut is Cut.AFTER
    found = customer.http.get(f"{web.url}/api/v1/orders", params={"client_order_id": "cut"}, timeout=SOON)
    assert len(found.json()["results"]) == len(server.stored().get("cut", [])) == is_placed

    again = customer.send("cut")
    assert again is not None
    assert again.status_code == 201
    assert ("Idempotent-Replayed" in again.headers) == is_placed
    assert server.stored()["cut"] == [row(again.json()["id"])]


WAITING_FOR_A_STANDBY = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@contextmanager
def no_standby(server: Server) -> Iterator[Callable[[], None]]:
    """Commits wait for a standby that there is not; what is given cancels the waits there are."""
    with psycopg.connect(server.url, autocommit=True) as admin:

        def cancel() -> None:
            assert wait_until(lambda: admin.execute(WAITING_FOR_A_STANDBY).fetchone(), within_seconds=SOON)
            for (pid,) in admin.execute(WAITING_FOR_A_STANDBY).fetchall():
                admin.execute("SELECT pg_cancel_backend(%s)", [pid])

        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        admin.execute("SELECT pg_reload_conf()")
        try:
            yield cancel
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")


def test_a_commit_whose_wait_for_a_standby_was_cancelled_is_no_201(web, server, customers):
    """PostgreSQL says COMMIT and a warning then: the order is stored here, and gone after a failover."""
    customer = customers[0]
    with no_standby(server) as cancel, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(customer.send, "alone")
        cancel()
        refused = answer.result(SOON)
    assert refused is not None
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    again = customer.send("alone")
    assert again is not None
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, "true")


@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_what_a_standby_may_not_have_is_an_error_within_a_transaction_and_without(server, in_a_transaction):
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **database_of(server.url)}, "default")

    def write() -> None:
        with wrapper.cursor() as cursor:
            cursor.execute("INSERT INTO django_session VALUES (%s, '', now())", [str(in_a_transaction)])

    def write_and_commit() -> None:
        wrapper.set_autocommit(not in_a_transaction)
        try:
            write()
            if in_a_transaction:
                wrapper.commit()
        finally:
            wrapper.close()

    with no_standby(server) as cancel, ThreadPoolExecutor(1) as pool:
        wrapper.inc_thread_sharing()
        written = pool.submit(write_and_commit)
        cancel()
        with pytest.raises(OperationalError, match="not known to be replicated") as raised:
            written.result(SOON)
    assert is_transient(raised.value)

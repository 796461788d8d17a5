"""What was answered with 201 is there, and what was not is found by its client order id, whatever PostgreSQL does."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from rest_framework.authtoken.models import Token

from config.embedded import places, postgres
from config.stack.readiness import databases_answer
from config.stack.supervision import wait_until
from tests.support.commits import CommitCutter, Cut
from tests.support.databases import conninfo
from tests.support.factories import make_customer, make_option
from tests.support.web import Web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
SOON = 60.0
CLIENTS = 6
ORDERS_EACH = 60
COUNT = "SELECT count(*), max(id) FROM counter_syncorder WHERE client_order_id = %s"


class Server:
    """A PostgreSQL of our own that can be stopped as by a power cut, filled with what the test database holds."""

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self.url = postgres.url(var_dir=places.absolute(var_dir), database="crossbook")
        self.socket = str(places.socket_folder(places.absolute(var_dir)) / postgres.SOCKET_NAME)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "config.embedded", "--var-dir", str(self._var_dir), "postgres"]
        with (self._var_dir / "log.txt").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        assert wait_until(lambda: databases_answer([self.url]), within_seconds=SOON)

    def stop(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait(SOON)

    def copy_from(self, source: str) -> None:
        """Schema and rows of the database `source` in the place of what is here."""
        programs = postgres.installed() / "bin"
        dumped = subprocess.run(
            [programs / "pg_dump", "--clean", "--if-exists", source], check=True, capture_output=True
        )
        loading: list[str | Path] = [programs / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", self.url]
        subprocess.run(loading, input=dumped.stdout, check=True, stdout=subprocess.DEVNULL)

    def stored(self, client_order_id: str) -> tuple[int, int | None]:
        """How many orders have this client order id, and the id of the last."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(COUNT, [client_order_id]).fetchone()
        assert row is not None
        return row[0], row[1]


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
        server.copy_from(conninfo("default"))
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
                    self.placed[name] = answer.json()["id"]
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
    server.copy_from(conninfo("default"))
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
    for customer in customers:
        assert len(customer.placed) == ORDERS_EACH
        for name, order_id in customer.placed.items():
            assert server.stored(name) == (1, order_id)
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
    assert len(found.json()["results"]) == server.stored("cut")[0] == is_placed

    again = customer.send("cut")
    assert again is not None
    assert again.status_code == 201
    assert ("Idempotent-Replayed" in again.headers) == is_placed
    assert server.stored("cut") == (1, again.json()["id"])

"""A primary that is killed, stopped or left by its standby: nobody waits for it, and the promoted standby is found.

Each order answered with 201 is on the new primary, once.
"""

import re
import shutil
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import connections
from rest_framework.authtoken.models import Token

from config.settings.places import database_of
from infra.db.engine.asking import Host, is_there
from infra.db.engine.base import DatabaseWrapper
from infra.db.engine.hosts import hosts
from infra.db.engine.replication import ReplicatedConnection, answer_for_what_was_read
from infra.db.engine.silence import WatchedConnection
from infra.db.transient_errors import is_transient
from tests.support.databases import conninfo, copy_rows
from tests.support.factories import make_customer, make_option
from tests.support.replicas import Pair, answers, running_as_a_server
from tests.support.skips import needs
from tests.support.web import PROMISED_SECONDS, Web
from tools.embedded import postgres, valkey
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy/pgbouncer/pgbouncer.ini"
CLIENTS = 4
SOON = 30.0
WITHIN_SECONDS = 3.0  # what a caller waits at most for the answer that the database is away


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(tmp_path_factory.mktemp("replicas")) as made:
        yield made


@pytest.fixture(scope="module")
def web(
    django_db_setup: None,
    django_db_blocker: Any,
    broker: str,
    pair: Pair,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    with django_db_blocker.unblock():
        made = Web(
            tmp_path_factory.mktemp("web"),
            DATABASE_URL=pair.url("crossbook"),
            DESK_DATABASE_URL=pair.url("desk"),
            QUOTE_STALE_AFTER_SECONDS="86400",
            ORDER_WITHIN_SECONDS=str(PROMISED_SECONDS),
        )
    yield made
    made.stop()


class Client:
    """A customer whose orders are told apart by their client order ids."""

    def __init__(self, web: Web, token: str, symbol: str) -> None:
        self._url, self._symbol = web.url, symbol
        self._headers = {"Authorization": f"Token {token}"}
        self.placed: list[str] = []
        self.took: list[float] = []

    def send(self, name: str) -> requests.Response:
        order = {"type": "open", "client_order_id": name, "symbol": self._symbol, "contracts": 1}
        answer = self._asked("POST", json=order)
        if answer.status_code == 201:
            self.placed.append(name)
        return answer

    def read(self) -> requests.Response:
        """Through the framework, past the order queue."""
        return self._asked("GET")

    def _asked(self, method: str, **given: Any) -> requests.Response:
        began_at = time.monotonic()
        url = f"{self._url}/api/v1/orders"
        answer = requests.request(method, url, headers=self._headers, timeout=SOON, **given)
        self.took.append(time.monotonic() - began_at)
        return answer


@pytest.fixture
def client(pair: Pair, web: Web) -> Client:
    pair.mend()
    symbol, token = make_option().symbol, Token.objects.create(user=make_customer().user).key
    copy_rows(source=conninfo("default"), target=pair.primary.url())
    made = Client(web, token, symbol)
    assert wait_until(lambda: made.send(f"before-{time.monotonic()}").status_code == 201, within_seconds=SOON)
    assert made.read().status_code == 200
    made.took.clear()
    return made


def stored(pair: Pair) -> list[str]:
    return [name for (name,) in pair.primary.ask("SELECT client_order_id FROM counter_syncorder")]


def orders_and_reads(client: Client, prefix: str) -> list[requests.Response]:
    """Some of both, all at the same time, so that no thread of the web processes is spared."""
    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        asked = [pool.submit(client.send, f"{prefix}-{number}") for number in range(CLIENTS)]
        asked += [pool.submit(client.read) for _ in range(CLIENTS)]
        return [each.result() for each in asked]


def assert_away(answers: list[requests.Response], client: Client) -> None:
    """Each says that it may be sent again, and soon enough."""
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] in ("unavailable", "overloaded")
        assert "Retry-After" in answer.headers
    print("answered after", sorted(round(took, 2) for took in client.took))  # noqa: T201 - shown with -s
    assert statistics.median(client.took) < WITHIN_SECONDS
    client.took.clear()


def until_placed(client: Client, name: str) -> float:
    """Seconds until this order is taken, with its client's retries."""
    began_at = time.monotonic()
    assert wait_until(lambda: client.send(name).status_code == 201, within_seconds=SOON)
    return time.monotonic() - began_at


def assert_all_there_once(pair: Pair, client: Client) -> None:
    there = stored(pair)
    assert {name: there.count(name) for name in client.placed} == dict.fromkeys(client.placed, 1)


@pytest.mark.timed
@pytest.mark.parametrize("lost_by", [signal.SIGKILL, signal.SIGSTOP])
def test_the_primary_is_lost_and_the_promoted_standby_is_found(pair, web, client, lost_by):
    lost = pair.primary
    lost.signal(lost_by)
    try:
        for attempt in range(2):  # those that were connected, and those that connect anew
            assert_away(orders_and_reads(client, f"lost-{attempt}"), client)
        assert requests.get(f"{web.url}/readyz", timeout=SOON).status_code == 503
        pair.promote()
        took = until_placed(client, "after")
        print("orders are taken after", round(took, 2))  # noqa: T201 - shown with -s
        assert took < WITHIN_SECONDS
        assert wait_until(lambda: client.read().status_code == 200, within_seconds=SOON)
        for number in range(CLIENTS):  # under its id: placed once, by either process
            assert until_placed(client, f"lost-0-{number}") < WITHIN_SECONDS
    finally:
        lost.end()
    assert_all_there_once(pair, client)


@pytest.fixture
def pooler(pair: Pair, tmp_path: Path) -> Iterator[str]:
    """Address of the primary behind PgBouncer, as deploy/ has it but for addresses and passwords."""
    if shutil.which("pgbouncer") is None:
        pytest.skip(needs("pgbouncer", "not tried behind PgBouncer"))
    pair.mend()
    port = valkey.free_port()
    text = CONFIGURATION.read_text()
    for name, value in {
        "crossbook": f"host=127.0.0.1 port={pair.primary.port} user={postgres.ROLE}",
        "listen_port": port,
        "auth_type": "any",
    }.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1
    text = re.sub(r"^(desk|auth_file) = .*$", "", text, flags=re.MULTILINE)
    text = text.replace("[pgbouncer]", "[pgbouncer]\nunix_socket_dir =")
    (tmp_path / "pgbouncer.ini").write_text(text)
    with running_as_a_server(tmp_path, "pgbouncer", str(tmp_path / "pgbouncer.ini")):
        yield f"postgresql://{postgres.ROLE}@127.0.0.1:{port}/crossbook"


def takes_a_connection(host: Host) -> bool:
    """Whether this process would connect to it: not while it is left alone."""
    try:
        return bool(hosts.connect(lambda _: "it answers", [host]))
    except psycopg.OperationalError:
        return False


def test_a_kept_connection_to_a_host_whose_silence_another_thread_has_met_is_left_unasked(pair):
    pair.mend()
    settings = connections["default"].settings_dict
    several = DatabaseWrapper({**settings, **database_of(pair.url("crossbook"))}, "default")
    alone = DatabaseWrapper({**settings, **database_of(pair.primary.url())}, "default")
    host = Host("127.0.0.1", pair.primary.port)
    try:
        several.ensure_connection()
        alone.ensure_connection()
        assert (several.is_usable(), alone.is_usable()) == (True, True)
        hosts.is_silent(host)
        assert (several.is_usable(), alone.is_usable()) == (False, True)
        assert wait_until(lambda: takes_a_connection(host), within_seconds=SOON)
        assert (several.is_usable(), alone.is_usable()) == (True, True)
    finally:
        several.close()
        alone.close()


@pytest.mark.timed
def test_behind_a_pooler_of_sessions_locks_settings_and_prepared_statements_hold(pair, pooler):
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **database_of(pooler)}, "default")
    assert wait_until(lambda: answers(pooler), within_seconds=SOON)
    try:
        with wrapper.cursor() as cursor:
            cursor.execute("SELECT current_setting('tcp_keepalives_idle'), pg_try_advisory_lock(7)")
            assert cursor.fetchone() == ("5", True)
            for number in range(6):  # more often than it takes to be prepared
                cursor.execute("SELECT %s::int", [number])
                assert cursor.fetchone() == (number,)
        assert pair.primary.ask("SELECT pg_try_advisory_lock(7)") == [(False,)]
        assert is_there(Host("127.0.0.1", wrapper.connection.info.port)), "a pooler answers as a server does"
    finally:
        wrapper.close()
    assert wait_until(
        lambda: pair.primary.ask("SELECT pg_try_advisory_lock(7)") == [(True,)], within_seconds=SOON
    )


@pytest.mark.timed
def test_without_its_standby_a_commit_is_not_answered_with_201_before_the_standby_has_it(pair, client):
    pair.standby.signal(signal.SIGSTOP)
    try:
        answer = client.send("alone")
        assert_away([answer], client)
    finally:
        pair.standby.signal(signal.SIGCONT)
    until_placed(client, "alone")
    assert_all_there_once(pair, client)
    assert stored(pair).count("alone") == 1


CUT_THE_WAIT_SHORT = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_an_order_whose_wait_was_cut_short_is_not_answered_before_the_standby_has_it(pair, client):
    """It is visible by then, so sending it again finds it: what is found may still be lost by a failover."""
    pair.standby.signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor() as pool:
            first = pool.submit(client.send, "cut")
            assert wait_until(
                lambda: pair.primary.ask(CUT_THE_WAIT_SHORT) and "cut" in stored(pair), within_seconds=SOON
            )
            assert first.result().status_code == 503
        assert client.send("cut").status_code == 503
    finally:
        pair.standby.signal(signal.SIGCONT)
    until_placed(client, "cut")
    assert_all_there_once(pair, client)


def test_what_was_only_read_is_answered_for_once_the_standby_has_it(pair):
    """Such as an order that the desk has already: its message is taken off the queue after this commit."""
    pair.mend()

    def read(*, answers: bool) -> None:
        with (
            ReplicatedConnection.connect(pair.primary.url(), autocommit=True) as session,
            session.transaction(),
        ):
            assert session.execute("SELECT 1").fetchone() == (1,)
            if answers:
                answer_for_what_was_read(session)

    pair.standby.signal(signal.SIGSTOP)
    try:
        read(answers=False)
        with ThreadPoolExecutor() as pool:
            answered = pool.submit(read, answers=True)
            assert wait_until(lambda: pair.primary.ask(CUT_THE_WAIT_SHORT), within_seconds=SOON)
            with pytest.raises(psycopg.OperationalError, match="not known to be replicated"):
                answered.result(SOON)
    finally:
        pair.standby.signal(signal.SIGCONT)
    read(answers=True)


@pytest.mark.timed
def test_a_session_whose_server_is_stopped_ends_whether_it_works_or_listens(pair):
    pair.mend()
    sessions = [WatchedConnection.connect(pair.primary.url(), autocommit=True) for _ in range(2)]
    asked = [
        lambda: sessions[0].execute("SELECT pg_sleep(3)").fetchall(),
        lambda: next(sessions[1].execute("LISTEN x").connection.notifies()),
    ]
    assert asked[0]() == [("",)], "a server that works for long is there"
    pair.primary.signal(signal.SIGSTOP)
    try:
        for ask, session in zip(asked, sessions, strict=True):
            with pytest.raises(psycopg.OperationalError, match="does not answer") as raised:
                ask()
            assert is_transient(raised.value)
            assert session.closed
    finally:
        pair.primary.signal(signal.SIGCONT)
    assert pair.primary.ask("SELECT 1") == [(1,)]

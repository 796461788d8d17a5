"""Which host of a database is connected to, by what became of earlier connections; and what a connection is told."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import ProgrammingError, errors

from config.settings import places
from config.settings.places import database_of
from infra.broker.transports import transport_options, urls_of, uses_redis
from infra.db.engine.asking import Host
from infra.db.engine.hosts import REFUSED_FOR_SECONDS, Hosts, hosts_of
from tools.stack.supervision import wait_until

A, B, C = (Host(name, 5432) for name in "abc")
URL = "postgresql://u:p@a:1,b,c:3/crossbook"


class Network:
    """What each host does with a connection, and who was asked in which order."""

    def __init__(self, **does: BaseException) -> None:
        self.does = does
        self.asked: list[str] = []

    def connect(self, host: Host) -> str:
        self.asked.append(host.name)
        if error := self.does.get(host.name):
            raise error
        return host.name


def taken(hosts, network, among):
    """The host that took a connection; None if none did."""
    try:
        return hosts.connect(network.connect, among)
    except psycopg.OperationalError:
        return None


def silent():
    return errors.ConnectionTimeout("connection timeout expired")


def read_only():
    return psycopg.OperationalError("session is read-only")


def test_the_host_that_took_the_last_connection_is_asked_first():
    hosts, network = Hosts(), Network(a=read_only(), b=read_only())
    assert hosts.connect(network.connect, [A, B, C]) == "c"
    assert hosts.connect(network.connect, [A, B, C]) == "c"
    assert network.asked == ["a", "b", "c", "c"]


def test_a_host_that_says_nothing_is_waited_for_once_and_tried_again_when_it_has_answered():
    there, network = threading.Event(), Network(a=silent())
    hosts = Hosts(is_there=lambda host: there.is_set())
    for _ in range(3):
        assert hosts.connect(network.connect, [A, B]) == "b"
    assert network.asked == ["a", "b", "b", "b"]
    network.does = {"b": read_only()}
    with pytest.raises(psycopg.OperationalError, match=r"b:5432: session is read-only; a:5432: said nothing"):
        hosts.connect(network.connect, [A, B])
    there.set()
    assert wait_until(lambda: taken(hosts, network, [A, B]) == "a", within_seconds=30)
    assert not hosts.was_silent(A)


def test_nobody_asks_after_hosts_of_which_none_is_silent_and_somebody_does_once_one_is_again():
    hosts = Hosts(is_there=lambda host: True)
    for _ in range(2):
        assert taken(hosts, Network(a=silent()), [A]) is None
        assert wait_until(lambda: taken(hosts, Network(), [A]) == "a", within_seconds=30)
        asking = hosts._asking
        asking.join(30)
        assert not asking.is_alive()


def test_while_one_thread_tries_a_host_that_has_answered_nobody_else_waits_for_it():
    hosts = Hosts(is_there=lambda host: True)
    assert taken(hosts, Network(a=silent()), [A]) is None

    def try_beside(host):
        with pytest.raises(psycopg.OperationalError, match="a moment ago"):
            hosts.connect(network.connect, [A])
        return "tried"

    network = Network()
    beside = SimpleNamespace(connect=try_beside)
    assert wait_until(lambda: taken(hosts, beside, [A]) == "tried", within_seconds=30)
    assert network.asked == []
    assert hosts.connect(network.connect, [A]) == "a"


def test_after_one_connection_the_hosts_that_have_refused_another_are_asked_at_once():
    hosts = Hosts()

    def connect_late(host):
        assert taken(hosts, Network(a=read_only(), b=read_only()), [A, B]) is None
        return host.name

    assert hosts.connect(connect_late, [A, B]) == "a"
    assert taken(hosts, Network(), [A, B]) == "a"


def test_hosts_that_refuse_while_one_of_them_takes_a_connection_are_asked_at_once():
    hosts = Hosts()

    def refuse_late(host):
        if host == B:
            assert taken(hosts, Network(), [A, B]) == "a"
        raise read_only()

    assert taken(hosts, SimpleNamespace(connect=refuse_late), [A, B]) is None
    assert taken(hosts, Network(), [A, B]) == "a"


def test_hosts_that_have_all_refused_are_asked_again_by_one_thread_and_the_others_are_told_what_they_said():
    hosts, asking, may_answer = Hosts(), threading.Event(), threading.Event()
    refusing = Network(a=read_only(), b=read_only())
    assert taken(hosts, refusing, [A, B]) is None
    time.sleep(REFUSED_FOR_SECONDS)

    def take_late(host):
        asking.set()
        assert may_answer.wait(10)
        return host.name

    with ThreadPoolExecutor() as pool:
        asked_again = pool.submit(hosts.connect, take_late, [A, B])
        assert asking.wait(10)
        with pytest.raises(psycopg.OperationalError, match=r"a:5432: session is read-only; b:5432"):
            hosts.connect(refusing.connect, [A, B])
        may_answer.set()
        assert asked_again.result() == "a"
    assert refusing.asked == ["a", "b"]
    assert taken(hosts, Network(), [A, B]) == "a"


def test_our_own_machines_error_is_no_answer_of_a_host_that_was_silent_to_another_thread():
    hosts = Hosts(is_there=lambda host: False)

    def no_route(host):
        assert taken(hosts, Network(a=silent()), [A]) is None
        raise psycopg.OperationalError("No route to host")

    assert taken(hosts, SimpleNamespace(connect=no_route), [A]) is None
    assert hosts.was_silent(A)


def test_of_one_host_its_own_error_is_told():
    with pytest.raises(psycopg.OperationalError, match=r"^session is read-only$"):
        Hosts().connect(Network(a=read_only()).connect, [A])


@pytest.mark.parametrize(
    ("parameters", "hosts"),
    [
        ({"host": "a,b", "port": "1,2"}, [Host("a", 1), Host("b", 2)]),
        ({"host": "a,b", "port": "1"}, [Host("a", 1), Host("b", 1)]),
        ({"host": "a,b", "port": ",2"}, [Host("a", 5432), Host("b", 2)]),
        ({"host": "/run/x"}, [Host("/run/x", 5432)]),
        ({"host": "a", "hostaddr": "10.0.0.1"}, []),
        ({}, []),
    ],
)
def test_hosts_are_read_as_libpq_reads_them(parameters, hosts):
    assert hosts_of(parameters) == hosts


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:x/db",
        "postgresql://a,b,c/db?port=1,2",
        "postgresql://a:0/db",
        "postgresql://a,b:99999/db",
    ],
)
def test_hosts_that_no_connection_could_be_made_to_are_refused_at_the_start(url):
    with pytest.raises(ProgrammingError, match="port"):
        database_of(url)


def test_of_several_hosts_the_one_that_takes_writes_is_wanted_unless_the_url_says_otherwise():
    made = database_of(URL)
    assert hosts_of({"host": made["HOST"], "port": made["PORT"]}) == [
        Host("a", 1),
        Host("b", 5432),
        Host("c", 3),
    ]
    assert made["OPTIONS"]["target_session_attrs"] == "read-write"
    assert database_of(f"{URL}?target_session_attrs=primary")["OPTIONS"]["target_session_attrs"] == "primary"
    assert "target_session_attrs" not in database_of("postgresql://u@a/crossbook")["OPTIONS"]


def test_time_outs_come_from_settings_and_a_pooler_is_sent_no_options(monkeypatch):
    monkeypatch.setattr(places, "DATABASE_KEEPALIVE_SECONDS", 8)
    monkeypatch.setattr(places, "DATABASE_CONNECT_SECONDS", 3)
    monkeypatch.setattr(places, "DATABASE_SILENT_SECONDS", 0.5)
    options = database_of(URL)["OPTIONS"]
    assert "options" not in options
    assert (options["connect_timeout"], options["silent_seconds"], options["tcp_user_timeout"]) == (
        3,
        0.5,
        8000,
    )
    probes = options["keepalives_interval"] * options["keepalives_count"]
    assert options["keepalives_idle"] + probes == 8
    assert options["session"] == {
        "tcp_keepalives_idle": "4",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": "4",
        "tcp_user_timeout": "8000",
    }


def test_several_brokers_are_each_tried_once():
    url = "amqp://a; amqp://b;amqp://c"
    assert urls_of(url) == ["amqp://a", "amqp://b", "amqp://c"]
    assert transport_options(url, timeout_seconds=2)["max_retries"] == 2
    assert transport_options("redis://a", timeout_seconds=2)["max_retries"] == 0


def test_brokers_that_sentinels_name_speak_redis():
    url = "sentinel://a:26379;sentinel://b:26379"
    assert uses_redis(url)
    assert transport_options(url, timeout_seconds=2, sentinel_master="x")["master_name"] == "x"
    assert "master_name" not in transport_options("redis://a", timeout_seconds=2, sentinel_master="x")

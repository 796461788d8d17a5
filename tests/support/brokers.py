"""The brokers that Crossbook runs with, each behind a proxy, and the same questions to both.

RabbitMQ is the machine's own, with a virtual host that is made for this process and deleted after it.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError

from infra.broker.connection import dead_letter_queue, message_queue
from infra.broker.message_signing import SYNC, mac_headers
from infra.broker.queues import worker_queue_name, worker_queues
from infra.broker.transports import transport_options, uses_redis
from tests.support.skips import needs
from tools.chaos.proxy import Proxy

RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"


def task_queue(name: str) -> str:
    """What the broker calls one of the queues that workers consume."""
    return worker_queue_name(name, stack=settings.STACK_NAME)


def rabbitmqctl(*arguments: str) -> None:
    subprocess.run(["rabbitmqctl", "--quiet", *arguments], check=True, timeout=60, capture_output=True)


@contextmanager
def rabbitmq() -> Iterator[str]:
    """URL of a virtual host of our own; skips loudly where there is no RabbitMQ that we may make one in."""
    try:
        with Connection(f"{RABBITMQ}//", connect_timeout=2) as there:
            there.connect()
    except (OSError, OperationalError) as error:
        pytest.skip(needs("rabbitmq-server", f"not tried with RabbitMQ: {error}"))
    if shutil.which("rabbitmqctl") is None or os.geteuid() != 0:
        pytest.skip("not tried with RabbitMQ: only root's rabbitmqctl may make a virtual host")
    name = f"crossbook-test-{os.getpid()}"
    rabbitmqctl("add_vhost", name)
    try:
        rabbitmqctl("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
        yield f"{RABBITMQ}/{name}"
    finally:
        rabbitmqctl("delete_vhost", name)


class Broker:
    """One of them as this process is told to use it; `url` is the real one, `line` the way that this process takes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.url = url
        self.line = Proxy(parts.hostname, parts.port)
        self.url_through_proxy = url.replace(f":{parts.port}/", f":{self.line.port}/")

    @contextmanager
    def in_use(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Have this process's settings and its Celery app use it."""
        app: Any = current_app
        url, quorum = self.url_through_proxy, "classic" if uses_redis(self.url) else "quorum"
        told = {
            "broker_url": url,
            "broker_transport_options": transport_options(
                url, timeout_seconds=settings.BROKER_TIMEOUT_SECONDS
            ),
            "task_default_queue_type": quorum,
            "task_create_missing_queue_type": quorum,
            "task_queues": worker_queues(settings.WORKER_QUEUES, stack=settings.STACK_NAME, url=url),
        }
        was = {name: app.conf[name] for name in told}
        monkeypatch.setattr(settings, "BROKER_URL", url)
        try:
            app.conf.update(told)
            _forget_connections(app)
            yield
        finally:
            app.conf.update(was)
            _forget_connections(app)
            self.line.close()

    def wipe(self) -> None:
        """Lose every message and every queue, as after a new start without its data."""
        with self._channel() as channel:
            if uses_redis(self.url):
                channel.client.flushdb()
                return
            for name in (
                message_queue().name,
                dead_letter_queue().name,
                *map(task_queue, settings.WORKER_QUEUES),
            ):
                channel.queue_delete(name)

    def depth(self, queue: str) -> int:
        """How many messages wait in a queue; 0 when there is none of this name."""
        with self._channel() as channel:
            try:
                return channel.queue_declare(queue, passive=True).message_count
            except channel.connection.client.channel_errors:
                return 0

    def unacknowledged(self) -> int:
        """How many messages somebody holds, or took and did not acknowledge."""
        if uses_redis(self.url):
            with self._channel() as channel:
                return channel.client.hlen("unacked")
        listed = subprocess.run(
            [
                *("rabbitmqctl", "--quiet", "--vhost", urlsplit(self.url).path[1:]),
                *("list_queues", "--no-table-headers", "messages_unacknowledged"),
            ],
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        )
        return sum(map(int, listed.stdout.split()))

    def publish(
        self,
        *bodies: bytes,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Put messages into the sync queue, past the proxy; signed as counter does, unless other headers are given."""
        with self._directly() as connection, connection.Producer() as producer:
            for body in bodies:
                producer.publish(
                    body,
                    routing_key=message_queue().name,
                    content_type=content_type,
                    content_encoding="utf-8",
                    headers=mac_headers(body, purpose=SYNC) if headers is None else dict(headers),
                )

    def read_and_die(self) -> None:
        """Take a message of the sync queue and lose the connection; returns once it waits there again, or has gone."""
        with self._channel() as channel:
            deadline = time.monotonic() + 60
            while channel.basic_get(message_queue().name) is None and self.depth(message_queue().name):
                assert time.monotonic() < deadline
                time.sleep(0.01)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        with self._directly() as connection:
            yield connection.default_channel

    @contextmanager
    def _directly(self) -> Iterator[Connection]:
        with Connection(self.url, connect_timeout=5) as connection:
            yield connection


def _forget_connections(app: Any) -> None:
    app._after_fork()
    app.__dict__.pop("amqp", None)  # what it knew of queues

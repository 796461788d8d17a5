"""What Sentry really receives over HTTP when a task fails: which order and conversion it was about, and no amount."""

import gzip
import io
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sentry_sdk
from celery.app import trace
from django.conf import settings
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from config.celery import app
from infra.observability import correlation
from infra.observability import logging as program_logging
from infra.observability.redaction import secrets_of
from settlement import tasks  # noqa: F401 - registers them
from settlement.conversions import balancing
from settlement.models import Conversion
from tests.support.desk_bench import event, take_in
from tests.support.sentry import Kept

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

AMOUNT = "98765.432109"


class Receiver(BaseHTTPRequestHandler):
    """Takes envelopes as Sentry does, and keeps the events in them."""

    events: list[dict[str, Any]] = []
    raw: list[str] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.GzipFile(fileobj=io.BytesIO(body)).read()
        text = body.decode()
        self.raw.append(text)
        lines = [json.loads(line) for line in text.splitlines() if line]
        self.events.extend(
            content for header, content in itertools.pairwise(lines) if header.get("type") == "event"
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def received() -> Iterator[list[dict[str, Any]]]:
    Receiver.events, Receiver.raw = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    program_logging.start_sentry(dsn=f"http://public@127.0.0.1:{server.server_port}/1")
    try:
        yield Receiver.events
    finally:
        Kept.stop()
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_a_failed_booking_is_told_with_its_order_and_without_what_it_was_worth(received, desk, monkeypatch):
    def fail(conversion: Conversion, **_: Any) -> int:
        held = {"coin": AMOUNT, "key": settings.VENUE_API_SECRET}
        raise RuntimeError(f"conversion {conversion.pk} of {held}")

    order = event(order_id=71001)
    take_in(order)
    conversion = desk.convert()
    monkeypatch.setattr(balancing, "enter", fail)
    sentry_sdk.add_breadcrumb(message=f"worth {AMOUNT}", data={"secret": settings.VENUE_API_SECRET})
    with bound_contextvars(batch="b7"):
        assert balancing.balance_filled(now=timezone.now()) == 0
    sentry_sdk.flush(10)
    assert [told["tags"] for told in received] == [
        {"order_id": "71001", "conversion": str(conversion.pk), "batch": "b7"}
    ]
    written = "".join(Receiver.raw)
    assert "balancing.py" in written
    assert AMOUNT not in written
    assert not [secret for secret in secrets_of(settings) if secret in written]
    assert not {"breadcrumbs", "extra", "user"} & received[0].keys()
    assert '"vars"' not in written


def test_a_task_that_breaks_is_told_with_the_ids_it_was_sent_with(received, monkeypatch):
    def fail(**_: Any) -> None:
        raise RuntimeError(f"nobody expected {AMOUNT}")

    monkeypatch.setattr(balancing, "balance_filled", fail)
    task = app.tasks["settlement.balance"]
    run = trace.build_tracer(task.name, task, app=app)  # as a worker does
    run("some-id", [], {}, {correlation.HEADER: {"batch": "b8", "orders": "17-20"}})
    sentry_sdk.flush(10)
    [told] = received
    assert told["tags"].items() >= {"batch": "b8", "orders": "17-20"}.items()
    assert told["transaction"] == "settlement.balance"
    assert AMOUNT not in "".join(Receiver.raw)

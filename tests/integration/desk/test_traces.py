"""A collector of OpenTelemetry gets one trace for an order, of what both systems tell, from placing to report."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from acceptance import counter_client
from acceptance.models import AcceptedOrder
from acceptance.pulling import pull_unsynced
from counter.orders import outbox
from infra.observability import tracing
from settlement.conversions import balancing
from settlement.counter_link import reporting
from settlement.models import Conversion
from tests.support.desk_bench import Desk
from tests.support.factories import make_customer, make_option, place_open

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "desk"]),
    pytest.mark.parametrize("url", ["valkey"], indirect=True),
]


class Collector:
    """Takes what is exported over HTTP."""

    def __init__(self):
        self.spans = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    spans.extend(span for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector():
    found = Collector()
    tracing._built.cache_clear()
    yield found
    tracing._built.cache_clear()
    found.stop()


@pytest.fixture
def desk(mq, live_server, settings, venue, paper_venue, venue_account):
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    yield Desk(venue, paper_venue, venue_account[0])
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def settle_one(desk):
    placed = place_open(make_customer(), make_option(), contracts=50)
    assert outbox.publisher.flush(20)
    pull_unsynced(min_age_ms=0, now=timezone.now())
    assert balancing.book(desk.convert(), now=timezone.now())
    reporting.report_settled(clock=timezone.now)
    return placed.id


def test_an_order_is_one_trace_from_its_placing_to_its_report(desk, collector, settings):
    settings.TRACES_URL = collector.url
    order_id = settle_one(desk)
    tracing.flush()
    spans = {span.name: span for span in collector.spans}
    assert len({span.trace_id for span in collector.spans}) == 1
    steps = ["reach the desk", "wait for a round", "send", "fill", "book", "report"]
    assert spans.keys() == {"order", "publish", *steps}

    order, conversion = AcceptedOrder.objects.get(order_id=order_id), Conversion.objects.get()
    root = spans.pop("order")
    assert root.parent_span_id == b""
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}
    microseconds = [round(moment.timestamp() * 10**6) for moment in (order.placed_at, order.reported_at)]
    assert [root.start_time_unix_nano // 1000, root.end_time_unix_nano // 1000] == microseconds
    assert spans["reach the desk"].start_time_unix_nano == root.start_time_unix_nano
    assert spans["report"].end_time_unix_nano == root.end_time_unix_nano
    for earlier, later in pairwise(steps):
        assert spans[earlier].end_time_unix_nano == spans[later].start_time_unix_nano
    told = {each.key: each.value.int_value for each in spans["fill"].attributes}
    assert told == {"order_id": order_id, "conversion": conversion.pk}


def test_two_orders_are_two_traces_and_those_left_out_are_left_out_by_both_systems(desk, collector, settings):
    settings.TRACES_URL = collector.url
    for _ in range(2):
        settle_one(desk)
    tracing.flush()
    assert len({span.trace_id for span in collector.spans}) == 2
    assert len({span.span_id for span in collector.spans}) == len(collector.spans)
    collector.spans.clear()
    tracing._built.cache_clear()
    settings.TRACES_ONE_IN = 2**40
    settle_one(desk)
    tracing.flush()
    assert collector.spans == []


def test_without_an_address_nothing_is_made(desk, collector):
    settle_one(desk)
    assert tracing._built.cache_info().currsize == 0


def test_a_collector_that_is_gone_stops_nothing(desk, collector, settings):
    collector.stop()
    settings.TRACES_URL = collector.url
    order_id = settle_one(desk)
    assert AcceptedOrder.objects.get(order_id=order_id).state == "REPORTED"


def test_threads_that_tell_at_once_have_one_exporter(url, collector, settings):
    settings.TRACES_URL = collector.url
    threads = 8
    at_once = threading.Barrier(threads)

    def tell(number):
        at_once.wait()
        tracing.tell(f"order {number}", steps=[tracing.Span("step", timezone.now(), timezone.now())])

    before = exporters()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(tell, range(threads)))
    assert len(exporters() - before) == 1
    tracing.flush()
    assert len(collector.spans) == threads


def exporters() -> set[int | None]:
    return {thread.ident for thread in threading.enumerate() if thread.name.startswith("Otel")}


@pytest.mark.parametrize(
    ("where", "telling", "what"), [(reporting.traces, "tell", "reports"), (outbox, "_trace", "publishing")]
)
def test_what_goes_wrong_with_tracing_fails_nothing_and_is_told_once(
    desk, collector, settings, monkeypatch, where, telling, what
):
    """Counter has taken the settlements, and the broker the orders, before it goes wrong."""
    settings.TRACES_URL = collector.url

    def fails(*args):
        raise OperationalError("the connection is gone")

    monkeypatch.setattr(where, telling, fails)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            place_open(make_customer(), make_option(), contracts=50)
            assert outbox.publisher.flush(20)
            pull_unsynced(min_age_ms=0, now=timezone.now())
            assert balancing.book(desk.convert(), now=timezone.now())
            assert reporting.report_settled(clock=timezone.now) == 1
    told = [line["event"] for line in lines if line["log_level"] == "warning"]
    assert told == [f"{what} not traced"]
    assert set(AcceptedOrder.objects.values_list("state", flat=True)) == {"REPORTED"}


def test_programs_do_not_start_without_the_packages(url, collector, settings, monkeypatch):
    tracing.check()
    settings.TRACES_URL = collector.url
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ImproperlyConfigured, match="extra `traces`"):
        tracing.check()

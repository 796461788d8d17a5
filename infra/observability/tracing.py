"""Traces for an OpenTelemetry collector (TRACES_URL): what was done for each order, from moments that are stored.

The ids of a trace and of its root are made of what it is of. So programs need to send nothing along with their
messages, each tells what it knows when it knows it, and the collector puts it together. Off without TRACES_URL; the
packages are the extra `traces`. Nothing waits for a collector, and what it does not take is dropped.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from infra.observability.program import program_name
from infra.observability.troubles import Trouble

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "crossbook"
SENT_WITHIN_SECONDS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Span(NamedTuple):
    """One step; attributes are ids, never amounts or names."""

    name: str
    began_at: datetime
    ended_at: datetime
    attributes: Mapping[str, int | str] = {}


def is_on() -> bool:
    """Whether anybody takes traces."""
    return bool(settings.TRACES_URL)


def of_order(source: str, order_id: int) -> str:
    """The subject of an order's trace, by the counter that it is of."""
    return f"order {source} {order_id}"


def tell(subject: str, *, root: Span | None = None, steps: Sequence[Span] = ()) -> None:
    """Send spans of the trace of `subject`: steps, and its root where its end is known.

    Returns at once. Raises: ImproperlyConfigured without the packages.
    """
    from opentelemetry import trace
    from opentelemetry.context import Context

    tracer, ids = _tracer(os.getpid())
    trace_id, root_id = _ids_of(subject)
    if root is not None:
        ids.plan(trace_id, root_id)
        _send(tracer, root, Context())
    of_root = trace.SpanContext(trace_id, root_id, is_remote=True)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(of_root), Context())
    for step in steps:
        _send(tracer, step, parent)


def attempt(telling: Callable[[], None], *, trouble: Trouble) -> None:
    """Tell, if anybody takes traces; what goes wrong with it is its trouble, and fails nothing that is traced."""
    if not is_on():
        return
    try:
        telling()
    except Exception as error:  # noqa: BLE001 - what is traced goes on
        trouble.met(error)
    else:
        trouble.passed()


def check() -> None:
    """Raises: ImproperlyConfigured where traces are wanted and the packages are not there."""
    if is_on():
        _provider(os.getpid())


def flush() -> None:
    """Wait until all that was told is sent, or dropped."""
    _provider(os.getpid())[0].force_flush()


def _send(tracer: Any, span: Span, context: Any) -> None:
    began = tracer.start_span(
        span.name, context, attributes=dict(span.attributes), start_time=_nanoseconds(span.began_at)
    )
    began.end(_nanoseconds(span.ended_at))


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000


def _ids_of(subject: str) -> tuple[int, int]:
    made = hashlib.blake2b(f"{settings.STACK_NAME} {subject}".encode(), digest_size=24).digest()
    return int.from_bytes(made[:16], "big"), int.from_bytes(made[16:], "big")


def _tracer(pid: int) -> tuple[Any, Any]:
    provider, ids = _provider(pid)
    return provider.get_tracer(SERVICE), ids


def _renew_lock() -> None:
    global _building  # a fork has none of its parent's threads, so nobody would release it
    _building = threading.Lock()


_building = threading.Lock()
os.register_at_fork(after_in_child=_renew_lock)


def _provider(pid: int) -> tuple["TracerProvider", Any]:
    """One for each process, whichever of its threads asks first: a fork has none of its parent's threads."""
    with _building:
        return _built(pid)


@cache
def _built(pid: int) -> tuple["TracerProvider", Any]:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
    except ImportError as error:
        raise ImproperlyConfigured(f"TRACES_URL needs the extra `traces`: {error}") from error

    class Ids(RandomIdGenerator):
        """Those of a root that is about to be made, and any for what is no root."""

        def __init__(self) -> None:
            self._local = threading.local()

        def plan(self, trace_id: int, span_id: int) -> None:
            """Of this thread's next root."""
            self._local.planned = trace_id, span_id

        def generate_trace_id(self) -> int:
            planned: tuple[int, int] | None = getattr(self._local, "planned", None)
            return super().generate_trace_id() if planned is None else planned[0]

        def generate_span_id(self) -> int:
            planned: tuple[int, int] | None = getattr(self._local, "planned", None)
            self._local.planned = None
            return super().generate_span_id() if planned is None else planned[1]

    ids = Ids()
    told = {"service.name": SERVICE, "service.instance.id": f"{program_name(SERVICE)} {pid}"}
    provider = TracerProvider(
        # By the trace's id, so all programs choose the same ones.
        sampler=TraceIdRatioBased(1 / settings.TRACES_ONE_IN),
        resource=Resource.create(told),
        id_generator=ids,
        shutdown_on_exit=True,
    )
    exporter = OTLPSpanExporter(endpoint=settings.TRACES_URL, timeout=SENT_WITHIN_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider, ids

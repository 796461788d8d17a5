"""Requests as they were sent: header names, targets and arrival times, which WSGI and Django change or drop."""

from collections.abc import Callable, Sequence

from django.http import HttpRequest
from rest_framework.request import Request

from counter.orders.deadlines import work_until

Header = Callable[[str], str | None]


def header_in(request: HttpRequest) -> Header:
    """Looks up the headers of a request of the framework."""
    scope = request.META.get("asgi.scope")
    return request.headers.get if scope is None else header_of(scope["headers"])


def header_of(raw: Sequence[tuple[bytes, bytes]]) -> Header:
    """Looks headers up as they were sent: WSGI would take `X_Forwarded_For`, which no proxy knows, for the real one."""

    def header(name: str) -> str | None:
        wanted = name.lower().encode()
        values = [value.decode("latin-1") for sent, value in raw if sent == wanted]
        return ",".join(values) if values else None

    return header


def until_of(request: HttpRequest | Request) -> float | None:
    """Until when what a request asks for may be placed; None if no server of ours has noted its arrival."""
    arrived = request.META.get("asgi.scope", {}).get("arrived")
    return None if arrived is None else work_until(arrived=arrived)


def target_in(request: HttpRequest) -> bytes:
    """Path and query as they were sent, which Django keeps decoded."""
    scope = request.META.get("asgi.scope")
    if scope is None:  # no server of ours: a test's client
        return request.get_full_path().encode()
    return target_of(scope["raw_path"], scope["query_string"])


def target_of(path: bytes, query: bytes) -> bytes:
    """Path and query as they stand in a request's first line."""
    return path + b"?" + query if query else path

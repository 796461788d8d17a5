"""Answers given on the event loop, bypassing the framework: the same bytes that the framework would send."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from counter.api.answers import JsonAnswer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

LONGEST_HOST = 300  # a name of 255, and a port: what is longer is not kept in memory
_JSON = (b"content-type", b"application/json")


class Answers:
    """Sends responses with the headers that Django's middleware adds to every one of them."""

    def __init__(self) -> None:
        self._of_all = {secure: [*_of_all_answers(secure=secure), _JSON] for secure in (False, True)}

    async def send(self, answer: JsonAnswer, scope: Scope, send: Send, *, secure: bool = False) -> None:
        """Answer a request, of a customer who speaks TLS if `secure`."""
        body = answer.body
        headers = [*self._of_all[secure], (b"content-length", b"%d" % len(body))]
        if answer.headers:
            headers += _raw(answer.headers)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def is_secure(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether the customer speaks TLS, to us or to a proxy that says so."""
    return scope["scheme"] == "https" or (
        headers.get(b"x-forwarded-proto") == b"https" and settings.SECURE_PROXY_SSL_HEADER is not None
    )


def is_ours(host: bytes) -> bool:
    """Whether a Host header names one of ALLOWED_HOSTS."""
    return len(host) <= LONGEST_HOST and _is_ours(host)


@lru_cache(maxsize=1000)
def _is_ours(host: bytes) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _of_all_answers(*, secure: bool) -> RawHeaders:
    """The headers that Django's middleware adds to every answer."""
    asked = WSGIRequest(
        {
            "REQUEST_METHOD": "POST",
            "wsgi.url_scheme": "https" if secure else "http",
            "HTTP_X_FORWARDED_PROTO": "https" if secure else "http",
            "wsgi.input": BytesIO(),
        }
    )
    answered = HttpResponse()
    del answered["Content-Type"]
    for middleware in (SecurityMiddleware, XFrameOptionsMiddleware):
        middleware(lambda _: answered).process_response(asked, answered)
    return raw_headers(answered)


def raw_headers(response: HttpResponse) -> RawHeaders:
    """A response's headers as an ASGI server takes them."""
    return _raw(response.headers)


def _raw(headers: Mapping[str, str]) -> RawHeaders:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

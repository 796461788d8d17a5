"""An id for each request: in the header `Request-Id` of its answer, and in its lines of the log."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from infra.observability import request_ids

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HEADER = b"request-id"


class Identified:
    """An ASGI application: `application`, whose requests have ids. Of several given ones none counts."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        header = (HEADER, request_ids.begin(_given(scope["headers"])))

        def identified(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], header]}
            return send(message)

        await self._application(scope, receive, identified)


def _given(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    given = None
    for name, value in headers:
        if name == HEADER:
            if given is not None:
                return None
            given = value
    return given

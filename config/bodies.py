"""Whole requests for the framework: it is asked once a body is there, so that slow senders cost it no thread.

Invariant: what it reads waits for nothing and says how long it is; more than DATA_UPLOAD_MAX_MEMORY_SIZE is not kept.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class WholeBodies:
    """An ASGI application: hands requests to `framework`, each with its body, and none whose client has gone."""

    def __init__(self, framework: Application) -> None:
        self._framework = framework

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._framework(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return

        async def whole() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        names = {name for name, _ in scope["headers"]}
        if body and b"content-length" not in names:  # without it WSGI knows of no body
            length = (b"content-length", str(len(body)).encode())
            scope = {**scope, "headers": [*scope["headers"], length]}
        await self._framework(scope, whole, send)


async def _body(receive: Receive) -> bytes | None:
    """The body, or so much of one that is too long that the framework refuses it; None when the client has gone."""
    parts: list[bytes] = []
    size, is_complete = 0, False
    while not is_complete and size <= (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0):
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        is_complete = not message.get("more_body")
    return b"".join(parts)

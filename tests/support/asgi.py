"""Speaking to the web program in this process as its server does: a scope, a body in odd pieces, an answer."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse

GONE = {"type": "http.disconnect"}


class Answer(HttpResponse):
    """An answer that reads like one of Django's test client."""

    def json(self) -> Any:
        return json.loads(self.content)


class AsgiClient:
    """Calls `application` (that of config.asgi unless given) on an event loop of its own for each request."""

    def __init__(
        self,
        *,
        headers: dict[str, str] | None = None,
        application: Any = None,
        peer: str = "127.0.0.1",
    ) -> None:
        if application is None:
            from config.asgi import application
        self.application = application
        self.headers = headers or {}
        self.peer = peer

    def post(
        self, path: str, raw: bytes | str, content_type: str = "application/json", **options: Any
    ) -> Answer:
        """The answer to a body that says how long it is, unless `headers` say otherwise."""
        body = raw.encode() if isinstance(raw, str) else raw
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))} | options.pop(
            "headers", {}
        )
        answer = self.request("POST", path, pieces=in_pieces(body), headers=headers, **options)
        assert answer is not None
        return answer

    def request(self, method: str, path: str, **options: Any) -> Answer | None:
        """The answer, or None if there is none because the client has gone."""
        return asyncio.run(self.ask(method, path, **options))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        pieces: Sequence[dict[str, Any]] = ({"type": "http.request"},),
        headers: dict[str, str | None] | None = None,
        query: str = "",
    ) -> Answer | None:
        """`request` on the running loop; a client whose `pieces` do not end goes. A header of None is not sent."""
        given = {"Host": "testserver", "Accept": "*/*"} | self.headers | (headers or {})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in given.items()
                if value is not None
            ],
            "client": (self.peer, 1),
            "server": ("127.0.0.1", 8000),
        }
        coming = list(pieces)
        stays = bool(coming) and not coming[-1].get("more_body", False)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            if not coming and stays:
                await asyncio.Event().wait()
            return coming.pop(0) if coming else GONE

        async def send(message: Any) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        return _answer(sent)


def in_pieces(body: bytes) -> list[dict[str, Any]]:
    """A body as a server may hand it on: one byte, nothing, a few, the rest, and an end without a byte."""
    parts = [body[:1], b"", body[1:8], body[8:]]
    return [{"type": "http.request", "body": part, "more_body": True} for part in parts] + [
        {"type": "http.request", "body": b"", "more_body": False}
    ]


def _answer(sent: list[dict[str, Any]]) -> Answer | None:
    if not sent:
        return None
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert not rest[-1].get("more_body")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    assert len(headers) == len(start["headers"])
    body = b"".join(message["body"] for message in rest)
    return Answer(body, status=start["status"], headers=headers)

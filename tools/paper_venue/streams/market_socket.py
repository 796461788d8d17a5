"""The websocket of market streams: `/ws/<name>/...` and `/stream?streams=<name>/...`, and requests that change it.

A listen key is the name of an account's own stream.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tools.paper_venue.streams.connection import Connection
from tools.paper_venue.streams.hub import Hub
from tools.paper_venue.streams.listen_keys import ListenKeys
from tools.paper_venue.streams.names import Stream, read_name

MOST_STREAMS = 1_024
INVALID_REQUEST, INVALID_JSON = 2, 3


class RequestInvalid(Exception):
    """A request on the socket that makes no sense; `code` is Binance's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Subscription:
    """One stream of one connection."""

    session: MarketSession
    name: str

    def send(self, message: str) -> None:
        if self.session.is_combined:
            message = f'{{"stream":{json.dumps(self.name)},"data":{message}}}'
        self.session.connection.send(message)

    def cut(self) -> None:
        self.session.connection.cut()


class MarketSession:
    """What one connection listens to."""

    def __init__(self, connection: Connection, hub: Hub, keys: ListenKeys, *, is_combined: bool) -> None:
        self.connection = connection
        self.is_combined = is_combined
        self._hub = hub
        self._keys = keys
        self._streams: dict[str, Stream | str] = {}  # by name: a market's, or the account of a listen key

    def begin(self, names: Sequence[str]) -> None:
        """Listen to what the address names; a name that says nothing is no error there."""
        for name in names:
            if (found := self._find(name)) is not None:
                self._listen(name, found)

    def end(self) -> None:
        """Listen to nothing any more."""
        for name in list(self._streams):
            self._leave(name)

    def answer(self, text: str) -> None:
        """Carry out a request and send its answer."""
        number: Any = None
        try:
            try:
                asked = json.loads(text)
            except ValueError as error:
                raise RequestInvalid(INVALID_JSON, f"Invalid JSON: {error}") from None
            if not isinstance(asked, dict):
                raise RequestInvalid(INVALID_REQUEST, "Invalid request: request must be an object")
            number = asked.get("id")
            if isinstance(number, bool | list | dict):
                number = None
                raise RequestInvalid(
                    INVALID_REQUEST, "Invalid request: request ID must be an integer or a string"
                )
            answer = {"result": self._carry_out(asked.get("method"), asked.get("params", [])), "id": number}
        except RequestInvalid as error:
            answer = {"error": {"code": error.code, "msg": str(error)}, "id": number}
        self.connection.send(json.dumps(answer, separators=(",", ":")))

    def _carry_out(self, method: Any, params: Any) -> Any:
        if not isinstance(params, list):
            raise RequestInvalid(INVALID_REQUEST, "Invalid request: params must be an array")
        match method:
            case "SUBSCRIBE":
                return self._subscribe(params)
            case "UNSUBSCRIBE":
                for name in params:
                    self._leave(name)
                return None
            case "LIST_SUBSCRIPTIONS":
                return list(self._streams)
            case "SET_PROPERTY":
                if len(params) != 2 or params[0] != "combined" or not isinstance(params[1], bool):
                    raise RequestInvalid(INVALID_REQUEST, "Invalid request: property or value is not known")
                self.is_combined = params[1]
                return None
            case "GET_PROPERTY":
                if params != ["combined"]:
                    raise RequestInvalid(INVALID_REQUEST, "Invalid request: property name is not known")
                return self.is_combined
        raise RequestInvalid(INVALID_REQUEST, f"Invalid request: unknown variant {method!r}")

    def _subscribe(self, names: list[Any]) -> None:
        found = [(name, self._find(name)) for name in names]
        if any(each is None for _, each in found):
            raise RequestInvalid(INVALID_REQUEST, "Invalid request: invalid stream")
        if len(self._streams.keys() | {name for name, _ in found}) > MOST_STREAMS:
            raise RequestInvalid(INVALID_REQUEST, "Invalid request: too many streams")
        for name, each in found:
            assert each is not None  # noqa: S101 - looked at above
            self._listen(name, each)

    def _find(self, name: Any) -> Stream | str | None:
        return (read_name(name) or self._keys.account_of(name)) if isinstance(name, str) else None

    def _listen(self, name: str, found: Stream | str) -> None:
        self._streams[name] = found
        listener = _Subscription(self, name)
        if isinstance(found, Stream):
            self._hub.listen(found, listener)
        else:
            self._hub.listen_to_account(found, listener)

    def _leave(self, name: Any) -> None:
        found = self._streams.pop(name, None) if isinstance(name, str) else None
        listener = _Subscription(self, str(name))
        if isinstance(found, Stream):
            self._hub.leave(found, listener)
        elif found is not None:
            self._hub.leave_account(found, listener)


def names_of(request: web.Request) -> tuple[list[str], bool]:
    """The streams that the address names, and whether messages carry their stream's name."""
    if request.path == "/stream":
        return [name for name in request.query.get("streams", "").split("/") if name], True
    return [name for name in request.match_info.get("names", "").split("/") if name], False

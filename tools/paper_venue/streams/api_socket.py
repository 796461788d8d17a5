"""The websocket of requests, `/ws-api/v3`, as far as an account's own stream needs it.

Source: Binance Spot WebSocket API documentation, "User Data Stream requests" and "Request security".
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tools.paper_venue.errors import ApiError, NoSuchSubscription, UnknownMethod
from tools.paper_venue.rest.dispatch import check_signed
from tools.paper_venue.rest.params import Params
from tools.paper_venue.signing import find_credentials
from tools.paper_venue.streams.connection import Connection
from tools.paper_venue.streams.hub import Hub
from tools.paper_venue.venue import Venue


@dataclass(frozen=True, slots=True)
class _Subscription:
    """An account's stream on one connection."""

    connection: Connection
    number: int

    def send(self, message: str) -> None:
        self.connection.send(f'{{"subscriptionId":{self.number},"event":{message}}}')

    def cut(self) -> None:
        self.connection.cut()


class ApiSession:
    """What one connection asks for and listens to."""

    def __init__(self, connection: Connection, hub: Hub, venue: Venue) -> None:
        self._connection = connection
        self._hub = hub
        self._venue = venue
        self._numbers = itertools.count()
        self._accounts: dict[int, str] = {}

    def end(self) -> None:
        """Listen to nothing any more."""
        for number in list(self._accounts):
            self._leave(number)

    def answer(self, text: str) -> None:
        """Carry out a request and send its answer."""
        number: Any = None
        try:
            try:
                asked = json.loads(text)
                number, method, sent = asked.get("id"), asked["method"], asked.get("params") or {}
                params = {str(name): _text(value) for name, value in sent.items()}
            except (ValueError, AttributeError, LookupError, TypeError):
                raise UnknownMethod from None
            answer: dict[str, Any] = {"id": number, "status": 200, "result": self._carry_out(method, params)}
        except ApiError as error:
            answer = {
                "id": number,
                "status": error.status,
                "error": {"code": error.code, "msg": error.message},
            }
        self._connection.send(json.dumps({**answer, "rateLimits": []}, separators=(",", ":")))

    def _carry_out(self, method: str, params: dict[str, str]) -> Any:
        match method:
            case "ping":
                return {}
            case "time":
                return {"serverTime": self._venue.clock_ms()}
            case "userDataStream.subscribe.signature":
                return {"subscriptionId": self._subscribe(self._signed(params))}
            case "userDataStream.unsubscribe":
                return self._unsubscribe(params)
            case "session.subscriptions":
                return [{"subscriptionId": number} for number in self._accounts]
        raise UnknownMethod

    def _signed(self, params: dict[str, str]) -> str:
        """The account of a signed request. The signature is over all other parameters in order of their names.

        Raises: ApiError.
        """
        credentials = find_credentials(key=params.get("apiKey"), known=self._venue.credentials)
        signed = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
        check_signed(
            Params(query=urlencode(params), body=""),
            query=signed,
            body="",
            secret=credentials.secret,
            now_ms=self._venue.clock_ms(),
        )
        return credentials.account

    def _subscribe(self, account: str) -> int:
        number = next(self._numbers)
        self._accounts[number] = account
        self._hub.listen_to_account(account, _Subscription(self._connection, number))
        return number

    def _unsubscribe(self, params: dict[str, str]) -> dict[str, Any]:
        """One subscription, or all. Raises: NoSuchSubscription."""
        named = params.get("subscriptionId")
        numbers = list(self._accounts) if named is None else [int(named)] if named.isdecimal() else []
        if not numbers or not self._accounts.keys() >= set(numbers):
            raise NoSuchSubscription
        for number in numbers:
            self._leave(number)
        return {}

    def _leave(self, number: int) -> None:
        account = self._accounts.pop(number)
        self._hub.leave_account(account, _Subscription(self._connection, number))


def _text(value: Any) -> str:
    """A parameter as its sender signed it."""
    return value if isinstance(value, str) else json.dumps(value)

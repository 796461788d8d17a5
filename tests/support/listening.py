"""Listening to the stream over a real connection, as a customer's program does."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from rest_framework.authtoken.models import Token

from counter.models import Customer
from tools.stack.supervision import wait_until

SOON = 30.0


@dataclass(frozen=True)
class Event:
    """One event; `id` is empty where it has none."""

    name: str
    data: Any
    id: str


def token_of(customer: Customer) -> dict[str, str]:
    """The header that says who asks."""
    token, _ = Token.objects.get_or_create(user=customer.user)
    return {"Authorization": f"Token {token.key}"}


class Listening:
    """Reads a stream on a thread of its own into `events` until it ends or is closed."""

    def __init__(self, url: str, *, headers: dict[str, str], **query: str) -> None:
        self.events: list[Event] = []
        self.retry = 0
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SOON)
        connection.connect()
        self._socket = connection.sock
        connection.request("GET", f"/api/v1/stream?{urlencode(query)}", headers=headers)
        self.answer = connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def last_id(self) -> str:
        """The id to resume from."""
        return next((event.id for event in reversed(self.events) if event.id), "")

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return not self._thread.is_alive()

    def of(self, name: str) -> list[Any]:
        """What events of this name said, in their order."""
        return [event.data for event in list(self.events) if event.name == name]

    def hears(self, what: Callable[["Listening"], Any], *, within: float = SOON) -> Any:
        """Wait until it has heard something; what that is."""
        assert wait_until(lambda: bool(what(self)), within_seconds=within, every_seconds=0.02), self.events
        return what(self)

    def close(self) -> None:
        """Go, without a word."""
        with suppress(OSError):  # it may be over
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(SOON)
        self.answer.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with suppress(OSError, http.client.HTTPException):
            for line in self.answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                self.retry = int(fields.pop("retry", self.retry))
                if "data" in fields:
                    event = Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
                    self.events.append(event)
                fields = {}


@contextmanager
def listening(url: str, customer: Customer, *, last_id: str = "", **query: str) -> Iterator[Listening]:
    """A customer's stream, open for the block."""
    resumed = {"Last-Event-ID": last_id} if last_id else {}
    listener = Listening(url, headers=token_of(customer) | resumed, **query)
    try:
        yield listener
    finally:
        listener.close()

"""HTTP/1.1 as the load speaks it: requests as finished bytes, answers read no further than they have to be."""

from typing import NamedTuple

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"


class AnswerUnreadable(Exception):
    """The server answered in a form that this reader does not know."""


class Answer(NamedTuple):
    """Status and body of one answer."""

    status: int
    body: bytes


def post(*, host: str, path: str, token: str, body: bytes) -> bytes:
    """The bytes of one POST of JSON by the customer with that token."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Token {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class AnswerReader:
    """Puts the answers of one connection together, however the network cuts them; one is awaited at a time."""

    __slots__ = ("_buffer", "_head", "_status", "_whole")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head = self._status = self._whole = 0

    def feed(self, data: bytes) -> Answer | None:
        """Take what has arrived; the answer when that completes it.

        Raises: AnswerUnreadable when it says no length, or more arrives than was asked for.
        """
        buffer = self._buffer
        buffer += data
        if not self._whole and not self._read_head():
            return None
        if len(buffer) < self._whole:
            return None
        if len(buffer) > self._whole:
            raise AnswerUnreadable(f"{len(buffer) - self._whole} bytes that nobody asked for")
        answer = Answer(self._status, bytes(buffer[self._head :]))
        buffer.clear()
        self._whole = 0
        return answer

    def _read_head(self) -> bool:
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return False
        head = bytes(self._buffer[: end + 2])
        at = head.lower().find(LENGTH)
        if at < 0:
            raise AnswerUnreadable(f"no length: {head[:200]!r}")
        value = head[at + len(LENGTH) : head.index(b"\r\n", at + 2)]
        self._status = int(head[9:12])
        self._head = end + len(HEAD_END)
        self._whole = self._head + int(value)
        return True

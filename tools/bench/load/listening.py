"""Many idle listeners in one process: what they are on stdin, `ready` on stdout once each has heard its first event.

A line on stdin ends them; what they heard is on stdout then.
"""

import asyncio
import signal
import sys
from urllib.parse import urlsplit

import msgspec

from tools.embedded.processes import die_with_parent

AT_ONCE = 50  # that connect together


class Listeners(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`count` streams of these customers in turn, with `query` as their parameters."""

    url: str
    tokens: list[str]
    query: str
    count: int


class Heard(msgspec.Struct, kw_only=True):
    """Events and bytes of all listeners together, and how many of them had an end before they were told to stop."""

    events: int
    bytes: int
    ended: int


async def listen(asked: Listeners) -> Heard:
    """Connect them all, say so, and read until told to stop. Raises: RuntimeError for one that is refused."""
    heard = Heard(events=0, bytes=0, ended=0)
    allowed = asyncio.Semaphore(AT_ONCE)
    first = [asyncio.Event() for _ in range(asked.count)]
    tasks = [
        asyncio.create_task(_listen(asked, asked.tokens[number % len(asked.tokens)], heard, event, allowed))
        for number, event in enumerate(first)
    ]
    starting = asyncio.gather(*(event.wait() for event in first))
    failing = asyncio.gather(*tasks)
    await asyncio.wait((starting, failing), return_when=asyncio.FIRST_COMPLETED)
    if failing.done():
        failing.result()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    heard.ended = sum(task.done() for task in tasks)
    failing.cancel()
    await asyncio.gather(failing, return_exceptions=True)
    return heard


async def _listen(
    asked: Listeners, token: str, heard: Heard, first: asyncio.Event, allowed: asyncio.Semaphore
) -> None:
    parts = urlsplit(asked.url)
    async with allowed:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"GET /api/v1/stream?{asked.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        writer.write(f"{head}Authorization: Token {token}\r\n\r\n".encode())
        answered = await reader.readuntil(b"\r\n\r\n")
        if not answered.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answered.decode())
    while piece := await reader.read(1 << 16):
        heard.bytes += len(piece)
        heard.events += (events := piece.count(b"event: "))
        if events:
            first.set()
    writer.close()


def main() -> None:
    die_with_parent(signal.SIGTERM)
    asked = msgspec.json.decode(sys.stdin.readline(), type=Listeners)
    print(msgspec.json.encode(asyncio.run(listen(asked))).decode(), flush=True)


if __name__ == "__main__":
    main()

"""Listening to the tops of an exchange's books by ccxt.pro, and noting them for the other processes.

It only makes prices fresher: while it does not run, is cut off or hears nothing, prices are asked for as without it.
What was already told is not told again, and what lay unread in a buffer while this process stood still is not new.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from aiohttp import WSMsgType

from infra.exchange.client import new_exchange, new_streaming_exchange, read_markets
from infra.exchange.host_breaker import Breaker
from infra.exchange.lean_ccxt import ccxt
from infra.exchange.pushed_books import PushedBooks, now_seconds

log = structlog.get_logger(__name__)

SILENT_SECONDS = 30.0  # without any message a connection is made anew: a quiet market loses nothing by it
LOOK_SECONDS, STOOD_STILL_SECONDS = 0.1, 0.5
MARK, MARKED_WITHIN_SECONDS = b"since", 5.0
PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
TOLD_AFTER = 2  # failures in a row: a connection that ends once is made again at once
HELD_BACK_SECONDS = 1.0


class NotPushed(Exception):
    """ccxt knows no stream of this exchange's best prices."""


class PriceStream:
    """Keeps the tops of `symbols` at one exchange noted; `client` names a ccxt class, `url` replaces its host."""

    def __init__(self, *, client: str, url: str, symbols: Collection[str], timeout_seconds: float) -> None:
        self._client = client
        self._url = url
        self._symbols = list(symbols)
        self._timeout_seconds = timeout_seconds
        self._books = PushedBooks(client=client, url=url)
        self._markets: list[Any] = []
        self._failures = 0
        self._awake_at = now_seconds()
        self._has_stood_still = False

    async def run(self) -> None:
        """Listen until cancelled; a connection that fails is made again, after pauses that grow."""
        looking = asyncio.create_task(self._look())
        try:
            while True:
                try:
                    await self._listen_once()
                except NotPushed as error:
                    log.warning("this exchange pushes no prices that ccxt knows of", error=str(error))
                    await asyncio.Event().wait()
                except Exception as error:  # noqa: BLE001 - after any of them prices are asked for meanwhile
                    self._failures += 1
                    tell = log.warning if self._failures == TOLD_AFTER else log.debug
                    tell("prices are not pushed", exchange=self._client, error=repr(error))
                await asyncio.sleep(PAUSES_SECONDS[min(self._failures, len(PAUSES_SECONDS)) - 1])
        finally:
            looking.cancel()

    async def _listen_once(self) -> None:
        """Listen on one connection, until it ends. Raises: what ended it."""
        async with self._connected() as exchange:
            if not self._markets:
                self._markets = await asyncio.to_thread(self._read_markets)
            exchange.set_markets(self._markets)
            while self._url and Breaker(self._url).is_open():
                await asyncio.sleep(HELD_BACK_SECONDS)  # its word is for every call from here
            self._has_stood_still = False
            await self._note_all(exchange, [each for each in self._symbols if each in exchange.markets])

    async def _note_all(self, exchange: Any, symbols: list[str]) -> None:
        noted: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        while True:
            async with asyncio.timeout(SILENT_SECONDS):
                await exchange.watch_bids_asks(symbols)
            self._note_awake()
            while self._has_stood_still:
                self._has_stood_still = False
                await _read_what_lay_unread(exchange)
                noted.update(exchange.bidsasks)
            # One wake-up may be for several messages: of each symbol the last one counts.
            for symbol in symbols:
                ticker = exchange.bidsasks.get(symbol)
                if ticker is None or ticker is noted.get(symbol):
                    continue
                noted[symbol] = ticker
                number = _number(ticker)
                if number is not None:
                    if number <= numbers.get(symbol, -1):
                        continue  # repeated, or overtaken by a later one
                    numbers[symbol] = number
                self._books.write(symbol, bid=str(ticker["bid"] or ""), ask=str(ticker["ask"] or ""))
            if self._failures:
                tell = log.info if self._failures >= TOLD_AFTER else log.debug
                tell("prices are pushed", exchange=self._client)
                self._failures = 0

    async def _look(self) -> None:
        """Notice when this process has not run, by what runs first when it goes on."""
        while True:
            self._note_awake()
            await asyncio.sleep(LOOK_SECONDS)

    def _note_awake(self) -> None:
        now = now_seconds()
        self._has_stood_still |= now - self._awake_at > STOOD_STILL_SECONDS
        self._awake_at = now

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        try:
            exchange = new_streaming_exchange(client=self._client, url=self._url)
        except (LookupError, ccxt.NotSupported) as error:
            raise NotPushed(str(error)) from error
        try:
            yield exchange
        finally:
            with suppress(Exception):
                await exchange.close()

    def _read_markets(self) -> list[Any]:
        exchange = new_exchange(client=self._client, url=self._url, timeout_seconds=self._timeout_seconds)
        return list(read_markets(exchange, self._symbols).values())


async def _read_what_lay_unread(exchange: Any) -> None:
    """Return when everything has been read that was sent before now: a ping is answered after it.

    Raises: TimeoutError; OSError when a connection has ended.
    """
    for client in exchange.clients.values():
        answered, handle = asyncio.Event(), client.handle_message

        def handle_noting_pongs(message: Any, answered: Any = answered, handle: Any = handle) -> None:
            if message.type is WSMsgType.PONG and bytes(message.data) == MARK:
                answered.set()
            handle(message)

        client.handle_message = handle_noting_pongs
        try:
            await client.connection.ping(MARK)
            async with asyncio.timeout(MARKED_WITHIN_SECONDS):
                await answered.wait()
        finally:
            client.handle_message = handle


def _number(ticker: dict[str, Any]) -> int | None:
    """The number of an update, where the exchange counts them (`u` at Binance)."""
    number = ticker["info"].get("u") if isinstance(ticker.get("info"), dict) else None
    return number if isinstance(number, int) else None

"""Rows of recorded market data, checked one by one: what a recording says has to make sense before it is played.

Times are recognised by their magnitude, for Binance's own archives changed from milliseconds to microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum

CANDLE_MS = 60_000
LARGEST = Decimal(10**12)
LONGEST_SHOWN = 40
# From which number on a time is of which unit, and milliseconds a unit: all between 2001 and 2286. What is below counts
# milliseconds from a beginning of its own.
UNITS = (
    (10**18, "nanoseconds", Decimal("0.000001")),
    (10**15, "microseconds", Decimal("0.001")),
    (10**12, "milliseconds", Decimal(1)),
    (10**9, "seconds", Decimal(1000)),
    (0, "milliseconds from 0", Decimal(1)),
)


class RowInvalid(ValueError):
    """A row that cannot be played; the message says why, without file and line."""


class RecordingKind(StrEnum):
    CANDLES = "candles"
    TRADES = "trades"
    BOOK_TICKERS = "book_tickers"


HEADERS = {
    ("open_time_ms", "open", "high", "low", "close", "volume"): RecordingKind.CANDLES,
    ("trade_time_ms", "trade_id", "price", "qty", "is_buyer_maker"): RecordingKind.TRADES,
    ("recv_ms", "update_id", "bid", "bid_qty", "ask", "ask_qty"): RecordingKind.BOOK_TICKERS,
}
COLUMNS = {kind: header for header, kind in HEADERS.items()}


class Rows:
    """Rows of one recording, in the order in which they were written; `add` refuses one that does not fit."""

    def __init__(self, kind: RecordingKind) -> None:
        self.kind = kind
        self.times_ms: list[int] = []
        self.rows: list[tuple[Decimal, ...]] = []
        self._unit: str | None = None
        self._last_id: int | None = None

    def add(self, row: Sequence[str]) -> None:
        """Raises: RowInvalid."""
        columns = COLUMNS[self.kind]
        if len(row) != len(columns):
            raise RowInvalid(f"{len(row)} columns, not {len(columns)}")
        at_ms = self._time_ms(columns[0], row[0])
        self._check_order(at_ms)
        first_value = 1
        if self.kind is not RecordingKind.CANDLES:
            self._check_id(columns[1], row[1])
            first_value = 2
        values = tuple(
            _amount(name, text) for name, text in zip(columns[first_value:], row[first_value:], strict=True)
        )
        CHECKS[self.kind](values)
        self.times_ms.append(at_ms)
        self.rows.append(values)

    def _time_ms(self, name: str, text: str) -> int:
        number = _whole(name, text)
        unit, factor = next((unit, factor) for least, unit, factor in UNITS if number >= least)
        if number >= 10**19:
            raise RowInvalid(f"{name} {_shown(text)} is no time in milliseconds since 1970")
        if self._unit is None:
            self._unit = unit
        elif unit != self._unit:
            raise RowInvalid(f"{name} {_shown(text)} is in {unit}, the rows before are in {self._unit}")
        return int(number * factor)

    def _check_order(self, at_ms: int) -> None:
        if not self.times_ms:
            return
        since_ms = at_ms - self.times_ms[-1]
        if since_ms < 0:
            raise RowInvalid(f"{-since_ms} ms before the row before")
        if self.kind is RecordingKind.CANDLES and since_ms < CANDLE_MS:
            raise RowInvalid(f"{since_ms} ms after the row before: candles are of a minute")

    def _check_id(self, name: str, text: str) -> None:
        number = _whole(name, text)
        is_wrong = self._last_id is not None and (
            number <= self._last_id if self.kind is RecordingKind.TRADES else number < self._last_id
        )
        if is_wrong:
            raise RowInvalid(f"{name} {_shown(text)} does not come after {self._last_id}")
        self._last_id = number


def _check_candle(values: Sequence[Decimal]) -> None:
    opened, high, low, closed, _ = values
    _check_positive(("open", opened), ("high", high), ("low", low), ("close", closed))
    if not low <= min(opened, closed) or not max(opened, closed) <= high:
        raise RowInvalid(f"open {opened} and close {closed} are not between low {low} and high {high}")


def _check_trade(values: Sequence[Decimal]) -> None:
    price, quantity, is_buyer_maker = values
    _check_positive(("price", price), ("qty", quantity))
    if is_buyer_maker not in (0, 1):
        raise RowInvalid(f"is_buyer_maker has to be 0 or 1, not {is_buyer_maker}")


def _check_book(values: Sequence[Decimal]) -> None:
    bid, _, ask, _ = values
    _check_positive(("bid", bid), ("ask", ask))
    if bid > ask:
        raise RowInvalid(f"bid {bid} is above ask {ask}")


CHECKS: dict[RecordingKind, Callable[[Sequence[Decimal]], None]] = {
    RecordingKind.CANDLES: _check_candle,
    RecordingKind.TRADES: _check_trade,
    RecordingKind.BOOK_TICKERS: _check_book,
}


def _check_positive(*named: tuple[str, Decimal]) -> None:
    for name, value in named:
        if value <= 0:
            raise RowInvalid(f"{name} has to be above 0, not {value}")


def _amount(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise RowInvalid(f"{name} {_shown(text)} is no number") from None
    if not value.is_finite() or not 0 <= value < LARGEST:
        raise RowInvalid(f"{name} {_shown(text)} is not from 0 to below {LARGEST:.0e}")
    return value


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > LONGEST_SHOWN:
        raise RowInvalid(f"{name} {_shown(text)} is no whole number")
    return int(text)


def _shown(text: str) -> str:
    """A value in a message of one line."""
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "...")

"""Recorded market data: gzip or plain CSV, its kind told by its header and its symbol by its file name.

Prices stay the decimals that the exchange printed.
"""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from settlement.venues.paper.symbols import SYMBOLS


class RecordingError(Exception):
    """A recording cannot be played."""


class RecordingUnknown(RecordingError):
    """Neither candles nor trades nor book tickers of a listed symbol."""


class RecordingEmpty(RecordingError):
    """The recording has no rows."""


class RecordingKind(StrEnum):
    CANDLES = "candles"
    TRADES = "trades"
    BOOK_TICKERS = "book_tickers"


HEADERS = {
    ("open_time_ms", "open", "high", "low", "close", "volume"): RecordingKind.CANDLES,
    ("trade_time_ms", "trade_id", "price", "qty", "is_buyer_maker"): RecordingKind.TRADES,
    ("recv_ms", "update_id", "bid", "bid_qty", "ask", "ask_qty"): RecordingKind.BOOK_TICKERS,
}
OPTION_CHAIN_COLUMN = "instrument_name"
CANDLE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows in order of time; ``rows`` hold the columns after the time (and after a trade's or update's id)."""

    symbol: str
    kind: RecordingKind
    name: str
    times_ms: list[int]
    rows: list[tuple[Decimal, ...]]

    @property
    def first_ms(self) -> int:
        return self.times_ms[0]

    @property
    def last_ms(self) -> int:
        return self.times_ms[-1] + (CANDLE_MS if self.kind is RecordingKind.CANDLES else 0)


def load_recording(path: Path) -> Recording | None:
    """The recording in a file, or None for an option chain, which is for somebody else's feed.

    Raises: RecordingUnknown, RecordingEmpty, OSError.
    """
    with _open(path) as lines:
        reader = csv.reader(lines)
        header = tuple(next(reader, ()))
        if OPTION_CHAIN_COLUMN in header:
            return None
        kind = HEADERS.get(header)
        symbol = next((name for name in SYMBOLS if re.search(rf"(?<![A-Z]){name}(?![A-Z])", path.name)), None)
        if kind is None or symbol is None:
            raise RecordingUnknown(
                f"{path.name}: {'no listed symbol in the name' if kind else 'unknown header'}"
            )
        first_value = 1 if kind is RecordingKind.CANDLES else 2
        times_ms: list[int] = []
        rows: list[tuple[Decimal, ...]] = []
        for row in reader:
            times_ms.append(int(row[0]))
            rows.append(tuple(Decimal(value) for value in row[first_value:]))
    if not rows:
        raise RecordingEmpty(path.name)
    return Recording(symbol, kind, path.name, times_ms, rows)


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="ascii", newline="")
    return path.open(encoding="ascii", newline="")

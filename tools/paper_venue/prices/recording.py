"""Recorded market data: gzip or plain CSV, its kind told by its header and its symbol by its file name.

A file is read and checked whole before anything of it is played. Prices stay the decimals that the exchange printed.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from tools.paper_venue.prices.recorded_rows import CANDLE_MS, HEADERS, RecordingKind, RowInvalid, Rows
from tools.paper_venue.symbols import SYMBOLS

__all__ = ["CANDLE_MS", "Recording", "RecordingKind", "load_recording"]


class RecordingError(Exception):
    """A recording cannot be played."""


class RecordingUnknown(RecordingError):
    """Neither candles nor trades nor book tickers of a listed symbol."""


class RecordingEmpty(RecordingError):
    """The recording has no rows."""


class RecordingInvalid(RecordingError):
    """A line of the recording makes no sense."""


OPTION_CHAIN_COLUMN = "instrument_name"


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

    Raises: RecordingUnknown, RecordingEmpty, RecordingInvalid with file, line and cause; OSError.
    """
    with _open(path) as lines:
        reader = csv.reader(lines)
        try:
            header = tuple(next(reader, ()))
            if OPTION_CHAIN_COLUMN in header:
                return None
            symbol, kind = _known(path, header)
            rows = Rows(kind)
            for row in reader:
                if row:  # a blank line says nothing
                    rows.add(row)
        except (RowInvalid, UnicodeDecodeError, csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
            line = max(reader.line_num, 1)
            raise RecordingInvalid(f"{path} line {line}: {_cause(error)}") from error
    if not rows.rows:
        raise RecordingEmpty(f"{path} has no rows")
    return Recording(symbol, kind, path.name, rows.times_ms, rows.rows)


def _known(path: Path, header: tuple[str, ...]) -> tuple[str, RecordingKind]:
    """Symbol and kind. Raises: RecordingUnknown."""
    symbol = next((name for name in SYMBOLS if re.search(rf"(?<![A-Z]){name}(?![A-Z])", path.name)), None)
    kind = HEADERS.get(header)
    if kind is None:
        raise RecordingUnknown(f"{path} line 1: not the columns of candles, trades or book tickers")
    if symbol is None:
        raise RecordingUnknown(f"{path}: no listed symbol in the name ({', '.join(SYMBOLS)})")
    return symbol, kind


def _cause(error: Exception) -> str:
    if isinstance(error, RowInvalid | csv.Error):
        return str(error)
    return "not ASCII text" if isinstance(error, UnicodeDecodeError) else f"broken gzip data ({error})"


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="ascii", newline="")
    return path.open(encoding="ascii", newline="")

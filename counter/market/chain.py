"""Recorded option chains: the whole list of one venue's options at one moment, from a CSV file.

A row whose name, expiry, strike or kind disagree with each other is refused, not repaired.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO

from counter.market.symbols import SymbolInvalid, format_symbol
from counter.pricing.formulas import OptionKind

WEEK = timedelta(weeks=1)

_COLUMNS = (
    "timestamp",
    "instrument_name",
    "currency",
    "option_type",
    "strike",
    "expiry_datetime",
    "mark_price",
    "bid_price",
    "ask_price",
    "implied_volatility",
    "futures_price",
    "index_price",
)
_KINDS: Mapping[str, OptionKind] = {"call": "C", "put": "P"}
# What is larger was meant in percent.
LARGEST_IV = Decimal(10)
LARGEST_AMOUNT = Decimal(10**12)
UNREADABLE = (
    ValueError,
    ArithmeticError,
    KeyError,
    TypeError,
    csv.Error,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
)


class ChainInvalid(ValueError):
    """The file is no option chain, or one of its rows contradicts itself."""

    code = "chain_invalid"


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One option as recorded: premiums in coin, `iv` a fraction, `futures` and `index` in USD per coin.

    `futures` is the price of the future (or synthetic forward) of the same expiry. `bid` and `ask` are None
    where nobody quoted one.
    """

    recorded_at: datetime
    underlying: str
    expiry_at: datetime
    strike: Decimal
    kind: OptionKind
    mark: Decimal
    bid: Decimal | None
    ask: Decimal | None
    iv: Decimal
    futures: Decimal
    index: Decimal

    @property
    def symbol(self) -> str:
        """The symbol of the option, by its present expiry."""
        return format_symbol(
            underlying=self.underlying, expiry_at=self.expiry_at, strike=self.strike, kind=self.kind
        )


def is_option_chain(path: Path | str) -> bool:
    """Say by its header whether a CSV file, plain or gzip, is an option chain.

    Raises: OSError when it cannot be opened.
    """
    with _opened(Path(path)) as lines:
        try:
            header = next(csv.reader([lines.readline(10_000)]), [])
        except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError):
            return False
    return set(_COLUMNS) <= set(header)


def read_chain(path: Path | str) -> list[ChainRow]:
    """Read an option chain, ordered by underlying, expiry, strike and kind.

    Raises: ChainInvalid, OSError.
    """
    if not is_option_chain(path):
        raise ChainInvalid(f"{path} line 1: not the columns of an option chain")
    rows: dict[str, ChainRow] = {}
    with _opened(Path(path)) as lines:
        reader = csv.DictReader(lines)
        try:
            for record in reader:
                row = _row(record)
                if rows.setdefault(row.symbol, row) is not row:
                    raise ValueError(f"{row.symbol} is there twice")
        except UNREADABLE as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            raise ChainInvalid(f"{path} line {max(reader.line_num, 1)}: {cause}") from error
    if not rows:
        raise ChainInvalid(f"{path} has no rows")
    return sorted(rows.values(), key=lambda row: (row.underlying, row.expiry_at, row.strike, row.kind))


def main(paths: Sequence[str]) -> int:
    """Read the option chains among some files; 2 and one line on stderr when one of them makes no sense."""
    for path in paths:
        try:
            if is_option_chain(path):
                read_chain(path)
        except (ChainInvalid, OSError) as error:
            sys.stderr.write(f"option chain: {' '.join(str(error).split())}\n")
            return 2
    return 0


def shifted(rows: Sequence[ChainRow], *, now: datetime) -> list[ChainRow]:
    """Move a chain by the smallest whole number of weeks, 0 or more, after which every expiry is after `now`.

    One number for the whole chain, its recording time included: tenors, weekdays and 08:00 UTC stay as they
    were, a moved chain's first expiry is at most a week ahead, and a chain still alive is left alone.
    """
    if not rows:
        return []
    overdue = now - min(row.expiry_at for row in rows)
    weeks = max(overdue // WEEK + 1, 0)
    move = weeks * WEEK
    return [replace(row, recorded_at=row.recorded_at + move, expiry_at=row.expiry_at + move) for row in rows]


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _row(record: Mapping[str, str]) -> ChainRow:
    if None in record or None in record.values():  # csv's sign of a column too many or too few
        raise ValueError("a different number of columns from the first line")
    strike = _positive(record, "strike")
    if record["option_type"] not in _KINDS:
        raise ValueError(f"option_type must be call or put, got {record['option_type']!r}")
    row = ChainRow(
        recorded_at=_utc(record["timestamp"]),
        underlying=record["currency"],
        expiry_at=_utc(record["expiry_datetime"]),
        strike=Decimal(int(strike)) if strike == int(strike) else strike,
        kind=_KINDS[record["option_type"]],
        mark=_amount(record, "mark_price"),
        bid=_amount(record, "bid_price") if record["bid_price"] else None,
        ask=_amount(record, "ask_price") if record["ask_price"] else None,
        iv=_positive(record, "implied_volatility"),
        futures=_positive(record, "futures_price"),
        index=_positive(record, "index_price"),
    )
    if row.symbol != record["instrument_name"]:
        raise SymbolInvalid(f"{record['instrument_name']} is described as {row.symbol}")
    if row.expiry_at <= row.recorded_at:
        raise ValueError(f"{row.symbol} had expired when it was recorded")
    if row.iv > LARGEST_IV:
        raise ValueError(f"implied_volatility must be a fraction up to {LARGEST_IV}, got {row.iv}")
    if row.bid is not None and row.ask is not None and row.bid > row.ask:
        raise ValueError(f"bid_price {row.bid} is above ask_price {row.ask}")
    return row


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)


def _positive(record: Mapping[str, str], column: str) -> Decimal:
    amount = _amount(record, column)
    if amount == 0:
        raise ValueError(f"{column} must be positive, got {record[column]!r}")
    return amount


def _amount(record: Mapping[str, str], column: str) -> Decimal:
    try:
        amount = Decimal(record[column])
    except InvalidOperation as error:
        raise ValueError(f"{column} is no number: {record[column]!r}") from error
    if not amount.is_finite() or not 0 <= amount < LARGEST_AMOUNT:
        raise ValueError(f"{column} must be finite and not negative, got {record[column]!r}")
    return amount


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

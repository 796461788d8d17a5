"""A day's rows as Parquet, streamed: a row group for some thousand rows, and never more than one in memory.

Amounts are decimals of exactly the digits of their columns, times are UTC to the microsecond. Needs the extra `parquet`
(pyarrow), which is 170 MB installed and therefore no dependency of every installation.
"""

import io
from collections.abc import Iterator
from datetime import date
from importlib.util import find_spec
from itertools import chain, islice
from typing import Any

from django.db import models

from cockpit.day_files import Page, Table, pages

MISSING = "Parquet needs pyarrow, the extra `parquet` of pyproject.toml: pip install 'pyarrow>=21,<27'"
PAGES_A_GROUP = 10


class ParquetMissing(RuntimeError):
    """The extra is not installed."""


def is_there() -> bool:
    """Whether files can be made here."""
    return find_spec("pyarrow") is not None


def parquet_of(table: Table, day: date, *, about: dict[str, str]) -> Iterator[bytes]:
    """The file in pieces; `about` stands in its metadata, beside the day.

    Raises: ParquetMissing, before anything is read; DatabaseError, as `pages`.
    """
    if not is_there():
        raise ParquetMissing(MISSING)
    return _pieces(table, pages(table, day), {"day": day.isoformat(), "table": table.name, **about})


def schema_of(table: Table) -> Any:
    """The columns with their types."""
    import pyarrow as pa

    return pa.schema(
        [pa.field(name, _type(field)) for name, field in zip(table.heading, table.fields, strict=True)]
    )


def _pieces(table: Table, read: Iterator[Page], about: dict[str, str]) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = schema_of(table).with_metadata(about)
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _groups(read):
            columns = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=len(group))
            yield sink.taken()
    yield sink.taken()


def _groups(read: Iterator[Page]) -> Iterator[Page]:
    """Pages put together, so that a row group has some ten thousand rows."""
    while some := list(islice(read, PAGES_A_GROUP)):
        yield list(chain.from_iterable(some))


def _type(field: Any) -> Any:
    import pyarrow as pa

    match field:
        case models.DecimalField():
            return pa.decimal128(field.max_digits, field.decimal_places)
        case models.DateTimeField():
            return pa.timestamp("us", tz="UTC")
        case models.IntegerField() | models.AutoField():
            return pa.int64()
        case models.CharField() | models.TextField():
            return pa.string()
    raise TypeError(f"no type for {field}")


class _Sink(io.RawIOBase):
    """A file that hands over what was written to it since it was last asked."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken

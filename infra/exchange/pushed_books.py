"""The tops of an exchange's books as it pushes them, for every process of this machine that needs them.

One process listens (`config.prices`) and writes each symbol's latest top into a small file under VAR_DIR, in place;
the others read it when they need a price, which costs them some microseconds and no connection. A record says when it
was received; how old it may be is for its reader to say. Where there is none, or it is too old, a price is asked for.

Times are those of the machine's monotonic clock, which its processes share and nobody can set.
"""

import os
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

RECORD_BYTES = 256
HEAD_BYTES = 6  # checksum and length
READ_TIMES = 3  # a record may be written while it is read
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

now_seconds = time.monotonic


class PushedBook(msgspec.Struct, frozen=True):
    """Best bid and ask as the exchange sent them, unjudged; `received_at` by the machine's monotonic clock."""

    bid: str
    ask: str
    received_at: float
    boot: str  # which start of the machine that clock counts from

    @property
    def age_seconds(self) -> float:
        """For how long it has been known here."""
        return now_seconds() - self.received_at


class PushedBooks:
    """What was pushed by the exchange that `client` (a ccxt class) names, at `url` unless that is blank."""

    def __init__(self, *, client: str, url: str) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(url).netloc)
        self._folder = Path(settings.VAR_DIR) / "pushed-books" / f"{client}@{host}"
        self._boot = _boot()

    def write(self, symbol: str, *, bid: str, ask: str) -> None:
        """Note what has just been received. Raises: OSError, ValueError for prices of absurd length."""
        record = _packed(PushedBook(bid, ask, now_seconds(), self._boot))
        path = self._path(symbol)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path, os.O_WRONLY | os.O_CREAT) as file:
            os.pwrite(file, record, 0)

    def read(self, symbol: str, *, within_seconds: float) -> PushedBook | None:
        """What was received last, if that is not longer ago; None for anything else than such a record."""
        # Opened each time, which costs microseconds: what was moved away or made anew is not read from for ever.
        with suppress(OSError), _opened(self._path(symbol), os.O_RDONLY) as file:
            for _ in range(READ_TIMES):
                found = _unpacked(os.pread(file, RECORD_BYTES, 0))
                if found is not None:
                    is_fresh = found.boot == self._boot and 0 <= found.age_seconds <= within_seconds
                    return found if is_fresh else None
        return None

    def _path(self, symbol: str) -> Path:
        return self._folder / symbol.replace("/", "-")


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _packed(book: PushedBook) -> bytes:
    body = msgspec.json.encode(book)
    if len(body) > RECORD_BYTES - HEAD_BYTES:
        raise ValueError(f"too long for a price: {book.bid[:40]!r}, {book.ask[:40]!r}")
    return (zlib.crc32(body).to_bytes(4) + len(body).to_bytes(2) + body).ljust(RECORD_BYTES, b"\0")


def _unpacked(record: bytes) -> PushedBook | None:
    """The book in a record; None if it is none, or was only half written."""
    body = record[HEAD_BYTES : HEAD_BYTES + int.from_bytes(record[4:HEAD_BYTES])]
    if not body or zlib.crc32(body) != int.from_bytes(record[:4]):
        return None
    try:
        return msgspec.json.decode(body, type=PushedBook)
    except msgspec.DecodeError:
        return None


def _boot() -> str:
    """What tells this start of the machine from others; blank where the system does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""

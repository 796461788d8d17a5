"""A wall clock that can be set apart from the machine's, in one program of the stack that chaos breaks.

Python imports this by its name from the PYTHONPATH that chaos gives its stack; nothing of the product knows of it. The
file `$CHAOS_CLOCKS/$CROSSBOOK_PROGRAM` holds by how many seconds the clock is ahead, and is read at every look at the
clock, in the program's children too. Monotonic clocks stay right, as they do when a machine's clock is set.
"""

import ctypes
import gc
import mmap
import os
import struct
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

OFFSET = struct.Struct("d")


def _patch(path: Path) -> None:
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), OFFSET.size, access=mmap.ACCESS_READ)
    of_time, of_time_ns, get, get_ns = time.time, time.time_ns, time.clock_gettime, time.clock_gettime_ns
    localtime, gmtime, strftime = time.localtime, time.gmtime, time.strftime

    def ahead() -> float:
        (seconds,) = OFFSET.unpack_from(memory)
        return float(seconds)

    def ahead_ns() -> int:
        return round(ahead() * 1_000_000_000)

    def now(cls: type[datetime], tz: Any = None) -> datetime:
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls: type[datetime]) -> datetime:
        return cls.fromtimestamp(time.time(), UTC).replace(tzinfo=None)

    def today(cls: type[date]) -> date:
        return cls.fromtimestamp(time.time())

    clocks: dict[str, Any] = {
        "time": lambda: of_time() + ahead(),
        "time_ns": lambda: of_time_ns() + ahead_ns(),
        "clock_gettime": lambda which: get(which) + (ahead() if which == time.CLOCK_REALTIME else 0.0),
        "clock_gettime_ns": lambda which: get_ns(which) + (ahead_ns() if which == time.CLOCK_REALTIME else 0),
        "localtime": lambda seconds=None: localtime(time.time() if seconds is None else seconds),
        "gmtime": lambda seconds=None: gmtime(time.time() if seconds is None else seconds),
        "strftime": lambda form, moment=None: strftime(form, time.localtime() if moment is None else moment),
    }
    for name, clock in clocks.items():
        setattr(time, name, clock)
    _set(datetime, now=classmethod(now), utcnow=classmethod(utcnow), today=classmethod(today))
    _set(date, today=classmethod(today))


def _set(kind: type, **methods: Any) -> None:
    """Replace methods of a built-in type in place: a subclass would not be what C code makes and asks for."""
    (own,) = gc.get_referents(kind.__dict__)
    own.update(methods)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


_file = Path(os.environ.get("CHAOS_CLOCKS", ""), os.environ.get("CROSSBOOK_PROGRAM", ""))
if _file.is_file():
    _patch(_file)

"""What threads log between two tests is nobody's: pytest captures nothing then, and it would stand in its dots."""

import logging
import sys
from collections.abc import Iterator
from threading import Lock

import pytest


class DuringTests:
    """A stream that writes to standard error as pytest captures it, and drops what comes at another time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_open = False

    def write(self, text: str) -> None:
        with self._lock:
            if self._is_open:
                sys.stderr.write(text)

    def flush(self) -> None:
        """Standard error holds nothing back."""

    def open(self, *, is_open: bool) -> None:
        with self._lock:
            self._is_open = is_open


STREAM = DuringTests()


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """After Django's set-up, which made the handler that writes our lines."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(STREAM)


# Innermost, so that the stream is open only while pytest captures.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup() -> Iterator[None]:
    yield from _open()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    yield from _open()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown() -> Iterator[None]:
    yield from _open()


def _open() -> Iterator[None]:
    STREAM.open(is_open=True)
    try:
        return (yield)
    finally:
        STREAM.open(is_open=False)

"""The note of what was pushed: whole, of now, of this machine's present start, or not there at all."""

import os
import shutil
import threading
import time

import pytest

from infra.exchange import pushed_books
from infra.exchange.pushed_books import RECORD_BYTES, PushedBook, PushedBooks

SYMBOL = "BTC/USDT"


@pytest.fixture
def books(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return [PushedBooks(client="binance", url="http://127.0.0.1:9100") for _ in range(2)]


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pushed_books, "now_seconds", lambda: now[0])
    return now


def test_what_is_written_is_read_by_others_while_it_is_fresh(books, clock):
    writer, reader = books
    assert reader.read(SYMBOL, within_seconds=1) is None
    writer.write(SYMBOL, bid="90000.01", ask="90000.02")
    found = reader.read(SYMBOL, within_seconds=1)
    assert (found.bid, found.ask, found.received_at) == ("90000.01", "90000.02", 100.0)
    assert reader.read("ETH/USDT", within_seconds=1) is None
    clock[0] = 101.0
    assert reader.read(SYMBOL, within_seconds=1) is not None
    clock[0] = 101.01
    assert reader.read(SYMBOL, within_seconds=1) is None
    writer.write(SYMBOL, bid="90001", ask="90002")
    assert reader.read(SYMBOL, within_seconds=1).bid == "90001"


def test_what_another_start_of_the_machine_left_is_not_read(books, clock, monkeypatch):
    writer, reader = books
    writer.write(SYMBOL, bid="90000.01", ask="90000.02")
    clock[0] = 99.9  # its clock began anew
    assert reader.read(SYMBOL, within_seconds=1) is None
    clock[0] = 100.1
    monkeypatch.setattr(reader, "_boot", "another")
    assert reader.read(SYMBOL, within_seconds=1) is None


@pytest.mark.parametrize(
    "content", [b"", b"\0" * RECORD_BYTES, os.urandom(RECORD_BYTES), b"{}" * 128, b"short"]
)
def test_what_is_no_record_is_none(books, clock, content):
    writer, reader = books
    writer.write(SYMBOL, bid="1", ask="2")
    [path] = (path for path in writer._folder.iterdir())
    path.write_bytes(content)
    assert reader.read(SYMBOL, within_seconds=1) is None


def test_a_file_that_was_taken_away_is_made_and_read_anew(books, clock):
    writer, reader = books
    writer.write(SYMBOL, bid="1", ask="2")
    assert reader.read(SYMBOL, within_seconds=1).bid == "1"
    shutil.rmtree(writer._folder)
    assert reader.read(SYMBOL, within_seconds=1) is None
    writer.write(SYMBOL, bid="3", ask="4")
    assert reader.read(SYMBOL, within_seconds=1).bid == "3"


def test_a_price_of_absurd_length_is_refused_and_the_one_before_stays(books, clock):
    writer, reader = books
    writer.write(SYMBOL, bid="1", ask="2")
    with pytest.raises(ValueError, match="too long"):
        writer.write(SYMBOL, bid="9" * 300, ask="2")
    assert reader.read(SYMBOL, within_seconds=1).bid == "1"


def test_no_reader_ever_sees_half_of_one_price_and_half_of_another(books):
    writer, reader = books
    ended = threading.Event()

    def write():
        number = 0
        while not ended.is_set():
            number += 1
            writer.write(SYMBOL, bid=f"{number}" * (1 + number % 3), ask=f"{number}" * (1 + number % 3))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        found: list[PushedBook] = []
        give_up_at = time.monotonic() + 60
        while len(found) < 4_000 and time.monotonic() < give_up_at:
            book = reader.read(SYMBOL, within_seconds=10)
            found += [] if book is None else [book]
    finally:
        ended.set()
        writing.join()
    assert len(found) == 4_000
    assert all(book.bid == book.ask for book in found)

"""The prices program beside a real venue: what it notes is the venue's latest top, or nothing that passes for it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from decimal import Decimal

import pytest

from infra.exchange.pushed_books import PushedBooks
from tests.support import standing
from tests.support.paper_process import ROOT, VenueProcess, running_venue

SYMBOL = "BTC/USDT"
AMPLE = ("--weight-per-minute", "1000000", "--connections-per-5m", "100000", "--volatility", "0")
BEGINS_WITHIN_SECONDS = 120.0  # beside two other workers
FOR_EVER = 3600.0  # however late a busy machine asks


@contextmanager
def listening(venue, var_dir, settings):
    """The program, and a reader of what it notes."""
    settings.VAR_DIR = var_dir
    environment = os.environ | {"VAR_DIR": str(var_dir), "VENUE_URL": venue.url, "VENUE": "binance"}
    process = subprocess.Popen([sys.executable, "-m", "config.prices"], cwd=ROOT, env=environment)
    reader = PushedBooks(client="binance", url=venue.url)
    try:
        follows(venue, reader, "90000")
        yield process, reader
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def own_venue():
    with running_venue(*AMPLE) as venue:
        yield venue


@pytest.fixture
def heard(own_venue, tmp_path, settings):
    """Venue, program and reader, with the price at 90,000."""
    own_venue.control("DELETE", "faults")
    with listening(own_venue, tmp_path, settings) as (process, reader):
        yield own_venue, process, reader


def pin(venue, price):
    venue.control("POST", "price", symbol="BTCUSDT", price=price)


def shown(reader, within_seconds=1.0):
    book = reader.read(SYMBOL, within_seconds=within_seconds)
    return None if book is None else Decimal(book.bid)


def follows(venue, reader, price):
    """Pin the price until the reader shows it: a stream tells of changes only."""
    until = time.monotonic() + BEGINS_WITHIN_SECONDS
    while time.monotonic() < until:
        pin(venue, str(Decimal(price) + 1))
        pin(venue, price)
        time.sleep(0.1)
        if shown(reader) == Decimal(price):
            return
    raise AssertionError(f"{shown(reader)} is not {price}")


def test_the_latest_top_is_there_for_all_processes_and_the_program_ends_when_told(heard):
    venue, process, reader = heard
    for price in ("90010", "89000", "91000"):
        follows(venue, reader, price)
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_a_stalled_stream_leaves_no_price_after_a_second_and_goes_on_when_it_moves(heard):
    venue, _, reader = heard
    venue.control("POST", "faults", kind="stream_stalled", path="/ws/")
    pin(venue, "95000")
    until = time.monotonic() + 5
    while (price := shown(reader)) is not None and time.monotonic() < until:
        assert price == 90000
        time.sleep(0.05)
    assert shown(reader) is None
    venue.control("DELETE", "faults")
    follows(venue, reader, "95001")


@pytest.mark.parametrize(("kind", "held_back"), [("stream_repeated", 0), ("stream_reordered", 1)])
def test_what_was_told_before_does_not_come_back(heard, kind, held_back):
    venue, _, reader = heard
    venue.control("POST", "faults", kind=kind, path="/ws/btcusdt")
    for step in range(1, 11):
        pin(venue, str(90_000 + step))
        # One that is held back for its successor is told late; one of before the last never again.
        newest_told = 90_000 + step - held_back
        standing.until(lambda told=newest_told: (shown(reader, FOR_EVER) or 0) >= told)
        time.sleep(0.05)
        assert shown(reader, FOR_EVER) >= newest_told


def test_an_exchange_whose_prices_are_not_pushed_is_told_of_once_and_left_alone(tmp_path, capfd):
    """The program stands by then: it is supervised, and ending it would only have it started again."""
    environment = os.environ | {
        "VAR_DIR": str(tmp_path),
        "VENUE_URL": "http://127.0.0.1:1",
        "VENUE": "nobody",
    }
    process = subprocess.Popen([sys.executable, "-m", "config.prices"], cwd=ROOT, env=environment)
    try:
        until, told = time.monotonic() + BEGINS_WITHIN_SECONDS, ""
        while "pushes no prices" not in told and time.monotonic() < until:
            time.sleep(0.1)
            told += capfd.readouterr().err
        assert "pushes no prices" in told
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def test_a_cut_connection_is_made_again(heard):
    venue, _, reader = heard
    venue.control("POST", "faults", kind="stream_cut", path="/ws/", count=1)
    pin(venue, "90500")
    follows(venue, reader, "90600")


def test_a_venue_that_counts_from_one_again_is_heard(tmp_path, settings):
    first = VenueProcess(*AMPLE)
    with listening(first, tmp_path, settings) as (_, reader):
        for price in range(90_001, 90_030):
            pin(first, str(price))
        first.kill()
        again = VenueProcess(*AMPLE, port=int(first.url.rpartition(":")[2]))
        try:
            follows(again, reader, "91000")
        finally:
            again.stop()


def test_what_lay_unread_while_the_program_stood_still_is_no_news(heard):
    venue, process, reader = heard
    process.send_signal(signal.SIGSTOP)
    for step in range(1, 31):
        pin(venue, str(90_000 + step))
        time.sleep(0.05)
    assert shown(reader) is None
    process.send_signal(signal.SIGCONT)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        assert shown(reader) in (None, 90_030)
    follows(venue, reader, "90100")

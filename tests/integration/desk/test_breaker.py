"""What a venue says of this machine's address counts for all processes that call it, reads included."""

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from infra.exchange import host_breaker
from infra.exchange.client import new_exchange
from infra.exchange.host_breaker import Breaker, HeldBack
from infra.exchange.lean_ccxt import ccxt
from settlement.conversions import rounds
from settlement.models import Attempt, VenueHalt
from settlement.venues import halts
from settlement.venues.protocol import VenueError
from tests.support.desk_bench import event, order_states, take_in
from tests.support.fixtures import account_of
from tests.support.paper_process import running_venue

ROOT = Path(__file__).resolve().parents[3]
SYMBOLS = ["BTC/USDT", "ETH/USDT"]
MINUTE_ENDS_SOON = 45  # seconds of it
# As the feed does, and as often as it can.
READER = """
import sys, time
import django; django.setup()
from contextlib import suppress
from infra.exchange.client import new_exchange
url, seconds = sys.argv[1], float(sys.argv[2])
exchange = new_exchange(client="binance", url=url, timeout_seconds=3)
ends = time.monotonic() + seconds
while time.monotonic() < ends:
    with suppress(Exception):
        exchange.fetch_bids_asks(["BTC/USDT"])
    time.sleep(0.02)
"""


@pytest.fixture
def feed(venue: Any, paper_venue: Any) -> Iterator[Any]:
    """An exchange as the feed has it: no key, markets read."""
    exchange = new_exchange(client="binance", url=paper_venue.url, timeout_seconds=3.0)
    exchange.load_markets()
    yield exchange
    exchange.session.close()


def struck(paper: Any) -> int:
    return sum(fault["struck"] for fault in paper.faults())


def test_under_a_ban_all_processes_together_send_at_most_what_was_under_way(venue, paper_venue):
    venue.market("BTC")
    paper_venue.add_fault("ban", for_seconds=60)
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, paper_venue.url, "4"], cwd=ROOT) for _ in range(3)
    ]
    desks = [account_of(paper_venue) for _ in range(3)]
    ends = time.monotonic() + 4

    def ask(desk: Any) -> None:
        while time.monotonic() < ends:
            for question in (lambda: desk.top_of_book("BTC"), lambda: desk.balances("trading")):
                with pytest.raises(VenueError):
                    question()
            time.sleep(0.02)

    threads = [threading.Thread(target=ask, args=[desk]) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reader.wait(30) for reader in readers] == [0, 0, 0]
    assert 1 <= struck(paper_venue) <= 6, (
        "what was under way when the first answer came, and nothing after it"
    )


@pytest.mark.parametrize(
    ("kind", "told", "heard"),
    [
        ("ban", {"for_seconds": 60}, "HeldBack"),
        ("firewall", {}, "HeldBack"),
        ("region", {}, "HeldBack"),
        ("rate_limit", {"retry_after_seconds": 60}, "RateLimitExceeded"),
    ],
)
def test_what_one_reader_hears_keeps_the_others_from_calling(venue, paper_venue, feed, kind, told, heard):
    venue.market("BTC")
    paper_venue.add_fault(kind, **told)
    with pytest.raises(ccxt.BaseError):
        feed.fetch_bids_asks(SYMBOLS)
    for call in (lambda: venue.top_of_book("BTC"), lambda: venue.balances("trading")):
        with pytest.raises(VenueError) as raised:
            call()
        assert (raised.value.kind, raised.value.status) == (heard, None)
        assert (raised.value.retry_after_seconds or 0) > 5
    assert struck(paper_venue) == 1


def test_when_it_is_over_one_call_tries_and_the_others_follow_its_answer(
    venue, paper_venue, feed, monkeypatch
):
    paper_venue.add_fault("ban", for_seconds=60, count=1)
    with pytest.raises(ccxt.DDoSProtection):
        feed.fetch_bids_asks(SYMBOLS)
    monkeypatch.setattr(host_breaker, "now_seconds", lambda: time.monotonic() + 61)
    trying = Breaker(paper_venue.url)
    trying.enter(is_read=True)
    with pytest.raises(HeldBack, match="being tried"):
        feed.fetch_bids_asks(SYMBOLS)
    trying.note(200, {}, paper_venue.url, "{}")
    assert feed.fetch_bids_asks(SYMBOLS).keys() == set(SYMBOLS)


def test_a_refusal_without_a_time_is_kept_longer_each_time_in_a_row_and_one_that_tries_may_die(
    paper_venue, venue, monkeypatch
):
    moment = [time.monotonic()]
    monkeypatch.setattr(host_breaker, "now_seconds", lambda: moment[0])
    one, pauses = Breaker(paper_venue.url), []
    for _ in range(4):
        one.note(403, {}, paper_venue.url, "<html>")
        with pytest.raises(HeldBack) as held:
            one.enter(is_read=True)
        pauses.append(held.value.retry_after_seconds)
        moment[0] += pauses[-1]
        one.enter(is_read=True)  # it tries, and is never heard of again
        with pytest.raises(HeldBack):
            one.enter(is_read=True)
        moment[0] += host_breaker.TRIAL_SECONDS
        one.enter(is_read=True)
    assert pauses == pytest.approx(host_breaker.PAUSE_SECONDS[403][:4])


def test_too_many_orders_of_an_account_says_nothing_of_reads(venue, paper_venue):
    body = '{"code":-1015,"msg":"Too many new orders."}'
    Breaker(paper_venue.url).note(429, {"Retry-After": "10"}, paper_venue.url, body)
    assert venue.balances("trading")


def test_what_was_sent_before_the_ban_and_answered_after_it_does_not_end_it(paper_venue, venue):
    one = Breaker(paper_venue.url)
    one.note(418, {"Retry-After": "60"}, paper_venue.url, "")
    one.note(200, {}, paper_venue.url, "{}")
    with pytest.raises(HeldBack):
        one.enter(is_read=True)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"status":418,"told_at":1e99,"until":2e99,"in_a_row":1}']
)
def test_a_file_that_makes_no_sense_or_is_from_before_a_restart_holds_nobody_up(paper_venue, venue, content):
    one = Breaker(paper_venue.url)
    one._path.parent.mkdir(exist_ok=True)
    one._path.write_bytes(content)
    one.enter(is_read=True)


def test_reads_slow_down_and_stop_before_the_limit_so_that_no_refusal_is_ever_heard():
    with running_venue("--weight-per-minute", "100") as venue:
        if time.time() % 60 > MINUTE_ENDS_SOON:
            time.sleep(60 - time.time() % 60)
        exchange = new_exchange(client="binance", url=venue.url, timeout_seconds=3.0)
        exchange.load_markets()

        def read_on() -> None:
            for _ in range(100):
                exchange.fetch_bids_asks(["BTC/USDT"])

        with pytest.raises(HeldBack) as held:
            read_on()
        exchange.session.close()
        assert (held.value.kind, held.value.retry_after_seconds <= 60) == ("RateLimitExceeded", True)
        assert 90 <= int(exchange.last_response_headers["X-MBX-USED-WEIGHT-1M"]) <= 100
        assert not Breaker(venue.url)._path.exists(), "no refusal was heard"


@pytest.mark.django_db(transaction=True, databases=["desk"])
def test_what_the_feed_was_told_halts_the_desk_without_a_call_and_reopens(desk, feed):
    desk.venue.top_of_book("BTC")
    desk.paper.add_fault("ban", for_seconds=60)
    with pytest.raises(ccxt.DDoSProtection):
        feed.fetch_bids_asks(SYMBOLS)
    desk.venue.real._tops.clear()
    take_in(event())
    with pytest.raises(VenueError):
        rounds.work_off(underlying="BTC", venue=desk.venue)
    halt = VenueHalt.objects.get()
    assert (halt.ask_at - timezone.now()).total_seconds() > 50
    assert not Attempt.objects.exists()
    assert order_states() == {"RECEIVED"}
    assert struck(desk.paper) == 1
    desk.paper.clear_faults()
    desk.resume(after=90)
    assert halts.all_standing("binance") == []
    assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 1


BAN = (418, {"Retry-After": "60"}, "http://venue.test", "{}")


@pytest.fixture
def a_folder(settings, tmp_path):
    """Of breakers, and nobody else's."""
    settings.VAR_DIR = tmp_path
    yield tmp_path / "venue-breakers"
    host_breaker._unwritten.clear()


def refuses(one: Breaker) -> bool:
    try:
        one.enter(is_read=False)
    except HeldBack:
        return True
    return False


def test_a_ban_that_cannot_be_written_down_is_kept_by_the_process_that_heard_it(a_folder):
    a_folder.parent.joinpath("venue-breakers").write_text("not a folder")  # as good as a disk without space
    one, other = Breaker("http://venue.test"), Breaker("http://venue.test")
    one.note(*BAN)
    assert refuses(one)
    assert refuses(other)
    a_folder.unlink()
    assert refuses(one)
    one.note(*BAN)  # and is written down as soon as that can be done
    assert host_breaker._unwritten == {}
    assert refuses(Breaker("http://venue.test"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\xff\x00",
        '{"status":418}',
        '{"status":418,"told_at":0.0,"until":1e300,"in_a_row":1}',
        '{"status":418,"told_at":1e300,"until":1e301,"in_a_row":1}',
        '{"status":418,"told_at":0.0,"until":1.0,"in_a_row":1,"trial_until":1e300}',
        '{"status":418,"told_at":0.0,"until":1.0,"in_a_row":-9}',
    ],
)
def test_a_file_that_is_none_of_ours_holds_nobody_back_and_is_written_anew(a_folder, text):
    a_folder.mkdir()
    one = Breaker("http://venue.test")
    one._path.write_bytes(text.encode("latin-1"))
    assert not refuses(one)
    one.note(*BAN)
    assert refuses(one)
    assert not refuses(Breaker("http://other.test"))


@pytest.mark.timed
def test_a_process_that_was_stopped_with_the_lock_keeps_nobody_waiting(a_folder):
    one = Breaker("http://venue.test")
    one.note(*BAN)
    with one._path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.monotonic()
        assert refuses(one)
        assert time.monotonic() - began < 2 * host_breaker.LOCK_SECONDS


def test_a_time_to_wait_that_is_none_is_no_leave_to_go_on(a_folder):
    for text in ("0", "-5", "nan", "soon"):
        one = Breaker(f"http://venue{text}.test")
        one.note(418, {"Retry-After": text}, "http://venue.test", "{}")
        with pytest.raises(HeldBack) as held:
            one.enter(is_read=True)
        assert 50 < held.value.retry_after_seconds <= host_breaker.PAUSE_SECONDS[418][0]

"""Pushed prices spare the desk its questions, and are believed no more than asked ones: none costs it a settlement."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from infra.exchange import pushed_books
from infra.exchange.pushed_books import PushedBooks
from settlement.conversions import chasing, rounds
from settlement.models import CoinRest
from tests.support.desk_bench import Desk, assert_books_agree, event, order_states, states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

TICKERS = "/api/v3/ticker/bookTicker"


@pytest.fixture(autouse=True)
def nothing_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No coin has missed a moment ago."""
    monkeypatch.setattr(chasing, "_missed_at", {})


class Pushing:
    """Stands for the prices program: writes what it would."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._books = PushedBooks(client="binance", url=url)
        self._monkeypatch = monkeypatch

    def __call__(self, bid: str, ask: str | None = None, *, seconds_ago: float = 0.0) -> None:
        received_at = pushed_books.now_seconds() - seconds_ago
        with self._monkeypatch.context() as patched:
            patched.setattr(pushed_books, "now_seconds", lambda: received_at)
            self._books.write("BTC/USDT", bid=bid, ask=str(Decimal(bid) + 1) if ask is None else ask)

    @contextmanager
    def going_on(self, bid: str) -> Iterator[None]:
        """Meanwhile it is pushed again and again."""
        ended = threading.Event()

        def push() -> None:
            while not ended.wait(0.005):
                self._books.write("BTC/USDT", bid=bid, ask=str(Decimal(bid) + 1))

        self(bid)
        pushing = threading.Thread(target=push)
        pushing.start()
        try:
            yield
        finally:
            ended.set()
            pushing.join()

    def stop(self) -> None:
        self._books.write("BTC/USDT", bid="", ask="")


@pytest.fixture
def push(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pushing]:
    desk.paper.set_price("BTCUSDT", "90000")
    pushing = Pushing(desk.paper.url, monkeypatch)
    yield pushing
    pushing.stop()


@pytest.fixture
def asked(desk: Desk) -> Any:
    """How often the desk has asked for a price since."""
    fault = desk.paper.add_fault("latency", path=TICKERS)

    def count() -> int:
        [found] = [each for each in desk.paper.faults() if each["fault_id"] == fault["fault_id"]]
        return int(found["struck"])

    return count


def top(desk: Desk, **how: float) -> Decimal:
    return desk.venue.top_of_book("BTC", **how).bid


def test_a_pushed_price_is_used_and_the_venue_not_asked(desk, push, asked):
    push("90010")
    assert top(desk) == Decimal("90010")
    push("90020", seconds_ago=0.5)
    assert top(desk) == Decimal("90020")
    assert asked() == 0


def test_what_was_received_last_counts_pushed_or_asked_for(desk, push, asked):
    push("90010", seconds_ago=0.3)
    assert top(desk, within_seconds=0) == Decimal("90000")
    assert top(desk) == Decimal("90000")
    push("90030")
    assert top(desk) == Decimal("90030")
    assert asked() == 1


@pytest.mark.parametrize(
    ("book", "within_seconds"),
    [
        ({"bid": "90010", "seconds_ago": 1.1}, 1.0),  # the stream has stalled
        ({"bid": "90010", "seconds_ago": 0.2}, 0.1),
        ({"bid": "90010", "seconds_ago": -5.0}, 1.0),
        ({"bid": "90010", "ask": "89000"}, 1.0),
        ({"bid": "90010", "ask": "99000"}, 1.0),
        ({"bid": "90010", "ask": ""}, 1.0),
        ({"bid": "0", "ask": "90010"}, 1.0),
        ({"bid": "NaN", "ask": "90010"}, 1.0),
    ],
)
def test_a_price_that_is_old_or_none_is_asked_for(desk, push, asked, book, within_seconds):
    push(**book)
    assert top(desk, within_seconds=within_seconds) == Decimal("90000")
    assert asked() == 1


def test_orders_settle_at_once_with_a_stream_that_lies(desk, push):
    take_in(event())
    with push.going_on("88500"):  # where an order to buy executes nothing
        worked = rounds.work_off(underlying="BTC", venue=desk.venue)
    assert (worked.rounds, worked.orders_left) == (1, False)
    assert states() == ["MISSED", "BOOKED"]
    take_in(event())
    push("88500")  # not believed any more
    assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 1
    assert states() == ["MISSED", "BOOKED", "BOOKED"]
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def test_a_lie_beyond_what_is_chased_costs_a_rest_of_a_moment_once(desk, push):
    take_in(event())
    with push.going_on("80000"):
        assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 0
    rest = CoinRest.objects.get()
    assert rest.due_at - timezone.now() < timedelta(seconds=0.5)
    time.sleep(max(0.0, (rest.due_at - timezone.now()).total_seconds()))
    push("80000")
    assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 1
    assert states() == ["MISSED", "BOOKED"]
    assert_books_agree(desk)


def test_a_pushed_price_near_the_asked_one_goes_on_being_believed(desk, push):
    push("90100")
    assert top(desk, within_seconds=0) == Decimal("90000")
    push("90100")
    assert top(desk) == Decimal("90100")


def test_while_a_price_moves_fast_orders_take_the_pushed_one_of_this_moment(desk, push, asked):
    take_in(event())
    push("90000")
    moves = iter(["91000"])

    def move(_: str) -> None:
        for price in moves:
            desk.paper.set_price("BTCUSDT", price)
            push(price)

    desk.venue.before_submit = move
    rounds.work_off(underlying="BTC", venue=desk.venue)  # misses, and is tried again
    before = asked()
    for seconds_ago, questions in ((0.0, 0), (0.3, 1)):
        take_in(event())
        push("91000", seconds_ago=seconds_ago)
        desk.venue.real._tops.clear()
        rounds.work_off(underlying="BTC", venue=desk.venue)
        assert asked() - before == questions
    assert states() == ["MISSED", "BOOKED", "BOOKED", "BOOKED"]

"""The adversary trades at any price while a book is odd, and holds what it can sell then."""

import itertools
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tools.chaos import adversary as adversaries
from tools.chaos.adversary import Adversary

SHOWN = {"BTCUSDT": (Decimal(9_000), Decimal(9_001))}


class WrittenLoad:
    """Takes every order; what was opened is held."""

    def __init__(self):
        self.sent = []
        self._held = []
        self._numbers = itertools.count(1)

    def next_id(self):
        return f"run-{next(self._numbers)}"

    def take_held(self, token):
        return self._held.pop(0) if self._held else None

    def send(self, token, orders):
        self.sent += orders
        self._held += [
            (each["client_order_id"], each["contracts"]) for each in orders if each["type"] == "open"
        ]


@pytest.fixture
def trades(monkeypatch):
    monkeypatch.setattr(adversaries, "ODD_EVERY_SECONDS", 0.01)

    def trade(*, odd):
        load = WrittenLoad()
        made = Adversary(
            load,
            tokens=["token"],
            symbols=["BTC-C", "BTC-P"],
            is_odd=lambda aftermath_seconds: odd,
            shown=lambda: SHOWN,
            clock=lambda: datetime(2026, 11, 29, tzinfo=UTC),
            seed=1,
        )
        made.begin()
        deadline = time.monotonic() + 60
        while len(load.sent) < adversaries.FIRST_POSITIONS + 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        made.stop()
        return made, load.sent

    return trade


def test_while_a_book_is_odd_it_buys_and_sells_with_both_payouts_at_any_price(trades):
    made, sent = trades(odd=True)
    assert {each["type"] for each in sent[: adversaries.FIRST_POSITIONS]} == {"open"}
    assert {each["payout"] for each in sent if each["type"] == "close"} == {"instant", "at_fill"}
    assert all(each["max_cost"] == adversaries.ANY_COST for each in sent if each["type"] == "open")
    assert all(each["min_proceeds"] == adversaries.ANY_PROCEEDS for each in sent if each["type"] == "close")
    first = made.attempts[0]
    assert (first.shown, len(first.symbols), len(first.sold)) == (SHOWN, 4, 4)
    assert {each["client_order_id"] for each in sent} <= set(made.sent)


def test_in_between_it_tries_nothing_odd_and_keeps_an_inventory(trades):
    made, sent = trades(odd=False)
    assert made.attempts == []
    kinds = [each["type"] for each in sent]
    assert kinds.count("open") > kinds.count("close") > 0

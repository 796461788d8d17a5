"""What dates an order for the venue: a leap of this machine's clock must not make a late order look early."""

import time

import pytest

from infra.exchange.client import new_exchange


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_leap_of_this_machines_clock_does_not_move_what_an_order_is_dated_by(monkeypatch, hours):
    exchange = new_exchange(client="binance", url="http://127.0.0.1:1", timeout_seconds=1.0)
    exchange.options["timeDifference"] = 250
    before, wall = exchange.nonce(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() + hours * 3600 * 10**9)
    assert 0 <= exchange.nonce() - before < 1000

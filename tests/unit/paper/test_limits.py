"""Weights and order counts: what is told, when it is refused, when it becomes a ban."""

import pytest

from tools.paper_venue.errors import TooManyOrders, TooMuchWeight
from tools.paper_venue.limits import Limits, LimitSettings

NOW = 1_770_000_000_000 - 1_770_000_000_000 % 60_000
SETTINGS = LimitSettings(
    weight_per_minute=10, orders_per_10s=2, orders_per_day=3, warnings=2, ban_seconds=120
)


def spend(limits, weight, at, **terms):
    return limits.spend(
        address=terms.get("address", "a"), weight=weight, is_sapi=terms.get("is_sapi", False), now_ms=at
    )


def test_used_weight_is_told_and_starts_again_each_minute():
    limits = Limits(SETTINGS)
    assert spend(limits, 4, NOW)["X-MBX-USED-WEIGHT-1M"] == "4"
    assert spend(limits, 4, NOW + 59_999)["X-MBX-USED-WEIGHT-1M"] == "8"
    assert spend(limits, 4, NOW + 60_000)["X-MBX-USED-WEIGHT-1M"] == "4"


def test_addresses_and_interfaces_are_counted_apart():
    limits = Limits(SETTINGS)
    spend(limits, 10, NOW)
    assert spend(limits, 10, NOW, address="b")["X-MBX-USED-WEIGHT-1M"] == "10"
    assert spend(limits, 1, NOW, is_sapi=True)["X-SAPI-USED-IP-WEIGHT-1M"] == "1"


def test_too_much_weight_is_a_429_then_a_growing_ban():
    limits = Limits(SETTINGS)
    spend(limits, 10, NOW)
    for _ in range(2):
        with pytest.raises(TooMuchWeight) as refused:
            spend(limits, 1, NOW + 45_000)
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "15"})
    with pytest.raises(TooMuchWeight) as banned:
        spend(limits, 1, NOW + 45_000)
    assert (banned.value.status, banned.value.headers) == (418, {"Retry-After": "120"})
    with pytest.raises(TooMuchWeight) as still:
        spend(limits, 1, NOW + 45_000 + 119_500)
    assert (still.value.status, still.value.headers) == (418, {"Retry-After": "1"})
    later = NOW + 45_000 + 120_000
    assert spend(limits, 10, later)["X-MBX-USED-WEIGHT-1M"] == "10"
    for _ in range(3):
        with pytest.raises(TooMuchWeight) as again:
            spend(limits, 1, later)
    assert again.value.headers == {"Retry-After": "240"}


def test_orders_are_counted_by_account_in_ten_seconds_and_a_day():
    limits = Limits(SETTINGS)
    assert limits.count_order(account="x", now_ms=NOW)["X-MBX-ORDER-COUNT-10S"] == "1"
    limits.count_order(account="x", now_ms=NOW)
    with pytest.raises(TooManyOrders, match="2 orders per 10 SECOND") as refused:
        limits.count_order(account="x", now_ms=NOW + 4_000)
    assert refused.value.headers == {"Retry-After": "6"}
    limits.count_order(account="y", now_ms=NOW)
    counted = limits.count_order(account="x", now_ms=NOW + 10_000)
    assert counted == {"X-MBX-ORDER-COUNT-10S": "1", "X-MBX-ORDER-COUNT-1D": "3"}
    with pytest.raises(TooManyOrders, match="3 orders per 1 DAY"):
        limits.count_order(account="x", now_ms=NOW + 20_000)
    assert limits.orders_used(account="x", now_ms=NOW + 20_000) == (0, 3)

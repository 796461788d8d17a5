"""Request weight by address and order counts by account, in fixed windows of wall time.

Going over the weight earns a 429; going on regardless earns a ban (418) that grows with every repetition.
Source: Binance Spot API documentation, "Limits".
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tools.paper_venue.errors import TooManyOrders, TooMuchWeight

MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000
FIVE_MINUTES_MS = 300_000
DAY_MS = 86_400_000
MAX_BAN_SECONDS = 3 * 86_400


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Binance's defaults; a ban follows after ``warnings`` refusals in one minute."""

    weight_per_minute: int = 6_000
    sapi_weight_per_minute: int = 12_000
    orders_per_10s: int = 100
    orders_per_day: int = 200_000
    warnings: int = 10
    ban_seconds: int = 120


@dataclass(slots=True)
class Window:
    """A counter that starts again at every multiple of its length."""

    length_ms: int
    started_at_ms: int = -1
    used: int = 0

    def roll(self, now_ms: int) -> None:
        start = now_ms - now_ms % self.length_ms
        if start != self.started_at_ms:
            self.started_at_ms, self.used = start, 0

    def seconds_left(self, now_ms: int) -> int:
        return -((now_ms - self.started_at_ms - self.length_ms) // 1000)


@dataclass(slots=True)
class _Caller:
    weight: Window = field(default_factory=lambda: Window(MINUTE_MS))
    sapi_weight: Window = field(default_factory=lambda: Window(MINUTE_MS))
    refusals: Window = field(default_factory=lambda: Window(MINUTE_MS))
    connections: Window = field(default_factory=lambda: Window(FIVE_MINUTES_MS))
    banned_until_ms: int = 0
    bans: int = 0


@dataclass(slots=True)
class _Trader:
    ten_seconds: Window = field(default_factory=lambda: Window(TEN_SECONDS_MS))
    day: Window = field(default_factory=lambda: Window(DAY_MS))


class Limits:
    """Counts what each address and each account uses."""

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._callers: defaultdict[str, _Caller] = defaultdict(_Caller)
        self._traders: defaultdict[str, _Trader] = defaultdict(_Trader)

    def spend(self, *, address: str, weight: int, is_sapi: bool, now_ms: int) -> dict[str, str]:
        """Count a request and return the headers that tell how much is used.

        Raises: TooMuchWeight.
        """
        caller = self._callers[address]
        if now_ms < caller.banned_until_ms:
            raise self._banned(caller, now_ms)
        window = caller.sapi_weight if is_sapi else caller.weight
        limit = self.settings.sapi_weight_per_minute if is_sapi else self.settings.weight_per_minute
        window.roll(now_ms)
        window.used += weight
        if window.used > limit:
            raise self._refuse(caller, window, limit, now_ms)
        if is_sapi:
            return {"X-SAPI-USED-IP-WEIGHT-1M": str(window.used)}
        return {"X-MBX-USED-WEIGHT": str(window.used), "X-MBX-USED-WEIGHT-1M": str(window.used)}

    def count_order(self, *, account: str, now_ms: int) -> dict[str, str]:
        """Count a new order and return the headers that tell how many there were.

        Raises: TooManyOrders.
        """
        trader = self._traders[account]
        for window, limit, interval in (
            (trader.ten_seconds, self.settings.orders_per_10s, "10 SECOND"),
            (trader.day, self.settings.orders_per_day, "1 DAY"),
        ):
            window.roll(now_ms)
            if window.used >= limit:
                raise TooManyOrders(
                    limit=limit, interval=interval, retry_after_seconds=window.seconds_left(now_ms)
                )
        trader.ten_seconds.used += 1
        trader.day.used += 1
        return {
            "X-MBX-ORDER-COUNT-10S": str(trader.ten_seconds.used),
            "X-MBX-ORDER-COUNT-1D": str(trader.day.used),
        }

    def count_connection(self, *, address: str, limit: int, now_ms: int) -> None:
        """Count a new websocket of an address.

        Raises: TooMuchWeight, also while the address is banned.
        """
        caller = self._callers[address]
        if now_ms < caller.banned_until_ms:
            raise self._banned(caller, now_ms)
        caller.connections.roll(now_ms)
        caller.connections.used += 1
        if caller.connections.used > limit:
            raise TooMuchWeight(
                message=f"Too many connections; current limit is {limit} connections per 5 MINUTE.",
                status=429,
                retry_after_seconds=caller.connections.seconds_left(now_ms),
            )

    def orders_used(self, *, account: str, now_ms: int) -> tuple[int, int]:
        """Orders counted in the present ten seconds and the present day."""
        trader = self._traders[account]
        trader.ten_seconds.roll(now_ms)
        trader.day.roll(now_ms)
        return trader.ten_seconds.used, trader.day.used

    def _refuse(self, caller: _Caller, window: Window, limit: int, now_ms: int) -> TooMuchWeight:
        caller.refusals.roll(now_ms)
        caller.refusals.used += 1
        if caller.refusals.used > self.settings.warnings:
            seconds = min(self.settings.ban_seconds * 2**caller.bans, MAX_BAN_SECONDS)
            caller.bans += 1
            caller.banned_until_ms = now_ms + seconds * 1000
            return self._banned(caller, now_ms)
        return TooMuchWeight(
            message=f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
            retry_after_seconds=window.seconds_left(now_ms),
        )

    @staticmethod
    def _banned(caller: _Caller, now_ms: int) -> TooMuchWeight:
        return TooMuchWeight(
            message=f"Way too much request weight used; IP banned until {caller.banned_until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            status=418,
            retry_after_seconds=-((now_ms - caller.banned_until_ms) // 1000),
        )

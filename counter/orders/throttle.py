"""What a process takes of the orders that it is offered, while the desk is behind with their coin.

The feed says which share of a coin's orders is to be admitted (`counter.trading.back_pressure`); every batch reads it
with its options, so it costs no query. From it and from what this process was lately offered follows a rate, which the
customers share: one who asks for more than an equal part gets an equal part, and what others leave of theirs.
Closes go first: opens make room for them. All is kept in memory, for a process that starts anew is told with its first
batch. Invariants: of a coin that is not behind, nothing is counted and nothing refused; a process that refuses has
heard of the coin within half a second, or lets one order through to hear of it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from counter.orders.requests import BEHIND, CloseRequest, OpenRequest, OrderRequest, Rejected
from counter.trading.back_pressure import WHOLE

WINDOW_SECONDS = 0.25
REMEMBERED = 0.7  # of what was offered, from one window to the next
LEAST_PER_S = 1.0  # of each process
BURST_SECONDS = 0.25  # of a rate that may come at once
CLOSES_AHEAD_SECONDS = 1.0  # of the rate, by which closes may be ahead of it
# A share is heard with the orders that are taken, so a process that took none lets one order through after so long:
# without it, what was refused last would decide long after the crowd has gone.
ASKS_AFTER_SECONDS = 0.5
HEARD_WITHIN_SECONDS = 5.0  # a share that was heard before that says nothing of now
MOST_CUSTOMERS = 10_000


class _Bucket:
    """Orders beyond what a rate has let through so far; none are left where it is not above zero."""

    __slots__ = ("_at", "_level")

    def __init__(self, at: float) -> None:
        self._level, self._at = 0.0, at

    def level(self, rate_per_s: float, now: float) -> float:
        self._level = max(0.0, self._level - (now - self._at) * rate_per_s)
        self._at = now
        return self._level

    def add(self, count: int) -> None:
        self._level += count

    def scale(self, times: float) -> None:
        """Have it be worked off at another rate in the same time."""
        self._level *= times


class _Coin:
    """One coin that is behind: what was offered of it by whom, and the rates that follow."""

    def __init__(self, share: int, now: float) -> None:
        self.share = share
        self.heard_at = self._asked_at = now
        self._bucket = _Bucket(now)
        self._of_customers: dict[int, _Bucket] = {}
        self._began_at = now
        self._offered_now: Counter[int] = Counter()
        self._offered_per_s: dict[int, float] = {}  # by customer, averaged over some windows
        self._rate_per_s = self._fair_per_s = 0.0
        self._is_new = True

    def admits(self, customer_id: int, count: int, *, is_close: bool, now: float) -> bool:
        """Take so many orders of a customer, or none of them."""
        self._turn(now)
        self._offered_now[customer_id] += count
        if self._is_new:  # no rate is known yet: the share of what comes
            self._rate_per_s = max(sum(self._offered_now.values()) * self.share / WHOLE / WINDOW_SECONDS, 1.0)
            self._fair_per_s = self._rate_per_s
        ahead_seconds = CLOSES_AHEAD_SECONDS if is_close else BURST_SECONDS
        own = self._of_customers.get(customer_id) or _Bucket(now)
        if self._bucket.level(self._rate_per_s, now) > self._rate_per_s * ahead_seconds:
            return False
        if own.level(self._fair_per_s, now) > self._fair_per_s * ahead_seconds:
            return False
        self._of_customers[customer_id] = own
        own.add(count)
        self._bucket.add(count)
        return True

    def asks(self, now: float) -> bool:
        """Whether an order is to be let through, so that this process hears; it counts as asked for then."""
        if now - max(self.heard_at, self._asked_at) < ASKS_AFTER_SECONDS:
            return False
        self._asked_at = now
        return True

    def _turn(self, now: float) -> None:
        """Begin a new window when one is over: what was offered in it says what may be taken in the next."""
        passed_seconds = now - self._began_at
        if passed_seconds < WINDOW_SECONDS:
            return
        kept = 0.0 if self._is_new else REMEMBERED ** (passed_seconds / WINDOW_SECONDS)
        offered = {customer: kept * rate_per_s for customer, rate_per_s in self._offered_per_s.items()}
        for customer, count in self._offered_now.items():
            offered[customer] = offered.get(customer, 0.0) + (1 - kept) * count / passed_seconds
        if len(offered) > MOST_CUSTOMERS:
            offered, self._of_customers = dict(self._offered_now.items()), {}
        self._offered_per_s = {
            customer: rate_per_s for customer, rate_per_s in offered.items() if rate_per_s > 0.01
        }
        self._of_customers = {
            customer: bucket
            for customer, bucket in self._of_customers.items()
            if customer in self._offered_per_s
        }
        self._offered_now.clear()
        self._began_at, self._is_new = now, False
        self._follow()

    def hear(self, share: int, now: float) -> None:
        """Go by this share from now on."""
        self.heard_at = now
        if share != self.share:
            self.share = share
            if not self._is_new:
                self._follow()

    def _follow(self) -> None:
        total_per_s = sum(self._offered_per_s.values())
        before_per_s, fair_before_per_s = self._rate_per_s, self._fair_per_s
        self._rate_per_s = max(total_per_s * self.share / WHOLE, LEAST_PER_S)
        self._fair_per_s = fair_part(self._offered_per_s.values(), total=self._rate_per_s)
        if before_per_s:
            self._bucket.scale(min(1.0, self._rate_per_s / before_per_s))
        if fair_before_per_s:
            for bucket in self._of_customers.values():
                bucket.scale(min(1.0, self._fair_per_s / fair_before_per_s))


class Throttle:
    """The coins that are behind, as this process knows; any thread may ask and tell it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._coins: dict[str, _Coin] = {}

    def hear(self, shares: Mapping[str, int | None]) -> None:
        """Be told the shares of some coins, as a batch has read them; None where none was ever measured."""
        if not self._coins and all(share is None or share >= WHOLE for share in shares.values()):
            return
        with self._lock:
            now = self._clock()
            for name, share in shares.items():
                coin = self._coins.get(name)
                if share is None or share >= WHOLE:
                    self._coins.pop(name, None)
                elif coin is None:
                    self._coins[name] = _Coin(share, now)
                else:
                    coin.hear(share, now)

    def refused(self, requests: Sequence[OrderRequest]) -> dict[int, Rejected]:
        """Which of a customer's opens are not taken, by their place among `requests`, those of one coin alike.

        Closes are not known by coin yet: `admits_close` is asked once their positions are read.
        """
        if not self._coins:
            return {}
        with self._lock:
            now = self._clock()
            places: dict[tuple[str, int], list[int]] = {}
            for place, request in enumerate(requests):
                if isinstance(request, OpenRequest):
                    name = request.symbol.partition("-")[0]
                    if name in self._coins:
                        places.setdefault((name, request.customer_id), []).append(place)
            return {
                place: BEHIND
                for (name, customer_id), some in places.items()
                if not self._admits(name, customer_id, len(some), is_close=False, now=now)
                for place in some[self._asks(name, now) :]
            }

    def admits_close(self, coin: str, request: CloseRequest) -> bool:
        """Whether a close of this coin is taken."""
        if coin not in self._coins:
            return True
        with self._lock:
            return self._admits(coin, request.customer_id, 1, is_close=True, now=self._clock())

    def _asks(self, name: str, now: float) -> int:
        """How many orders of a coin are let through although it is behind: 1 when nothing was heard lately, else 0."""
        coin = self._coins.get(name)
        return int(coin is not None and coin.asks(now))

    def _admits(self, name: str, customer_id: int, count: int, *, is_close: bool, now: float) -> bool:
        coin = self._coins.get(name)
        if coin is None:
            return True
        if now - coin.heard_at > HEARD_WITHIN_SECONDS:
            del self._coins[name]
            return True
        return coin.admits(customer_id, count, is_close=is_close, now=now)


def fair_part(wanted: Iterable[float], *, total: float) -> float:
    """The most that each gets of a `total` when those who want less leave the rest to the others (max-min fairness).

    Bertsekas and Gallager, Data Networks, 6.5.2.
    """
    ordered = sorted(wanted)
    left, part = total, total
    for place, amount in enumerate(ordered):
        part = left / (len(ordered) - place)
        if amount > part:
            return part
        left -= amount
    return max(part, left) if ordered else total


throttle = Throttle()

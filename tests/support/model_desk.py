"""The way of an order by a clock of its own: what two web processes take, the feed measures, a desk settles.

The throttles and the pace are the product's. The desk is known: rounds of what waits, one after the other on its
processors, several at a time at the venue.
"""

from collections import deque
from dataclasses import dataclass, field

from counter.orders.requests import OpenRequest
from counter.orders.throttle import Throttle
from counter.trading.back_pressure import WHOLE, DeskLoad, Pace, PaceBounds

STEP_SECONDS = 0.01
MEASURED_EVERY_STEPS = 25
MOST_IN_ROUND = 5_000
WEB_PROCESSES = 2
CUSTOMERS = 20
BOUNDS = PaceBounds(wait_seconds=0.6, few_orders=1_000)


@dataclass(slots=True)
class _Round:
    placed: list[float]
    ends_at: float


@dataclass
class Model:
    """`orders_per_s` is what the desk's processors settle, rounds apart; `rounds` may be under way at once."""

    orders_per_s: float
    venue_seconds: float = 0.1
    told_venue_seconds: float | None = None  # as the desk's condition says; the truth unless given
    rounds: int = 2
    round_seconds: float = 0.02  # of the desk's processors for a round of any size
    share: int = WHOLE
    bounds: PaceBounds = BOUNDS
    is_away: bool = False
    is_paced: bool = True
    now: float = 0.0
    settled: int = 0
    accepted: int = 0
    offered: int = 0
    stuck: list[float] = field(default_factory=list)
    ages: list[tuple[float, float]] = field(default_factory=list)  # when settled, how old
    refusals: list[tuple[float, int]] = field(default_factory=list)
    oldest: list[tuple[float, float]] = field(default_factory=list)  # when measured, how old
    _waiting: deque[float] = field(default_factory=deque)
    _under_way: list[_Round] = field(default_factory=list)
    _processors_free_at: float = 0.0
    _newest: float = -1.0
    _owed: float = 0.0
    _turn: int = 0
    _steps: int = 0

    def __post_init__(self) -> None:
        self.pace = Pace(share=self.share)
        self._throttles = [Throttle(clock=lambda: self.now) for _ in range(WEB_PROCESSES)]

    def run(self, seconds: float, *, offered_per_s: float) -> "Model":
        """Offer so much for so long, in an open loop: nobody waits for an answer."""
        for _ in range(round(seconds / STEP_SECONDS)):
            self._steps += 1
            self.now = self._steps * STEP_SECONDS
            self._offer(offered_per_s * STEP_SECONDS)
            self._work()
            if self._steps % MEASURED_EVERY_STEPS == 0:
                load = self.load()
                self.oldest.append((self.now, load.behind_seconds))
                self.share = self.pace.take(load, self.bounds, at=self.now)
        return self

    def rest(self, seconds: float, *, offered_per_s: float) -> "Model":
        """The desk does nothing for so long; what is at the venue is heard of when it is back."""
        self.is_away = True
        self.run(seconds, offered_per_s=offered_per_s)
        self.is_away = False
        return self

    def restart_measurer(self) -> None:
        """A new leader of the feed, which knows the stored share only."""
        self.pace = Pace(share=self.share)

    def load(self) -> DeskLoad:
        """As one statement at counter finds it."""
        unsettled = [*self._waiting, *(at for each in self._under_way for at in each.placed), *self.stuck]
        behind = [at for at in unsettled if at > self._newest]
        told = self.venue_seconds if self.told_venue_seconds is None else self.told_venue_seconds
        return DeskLoad(
            settled=self.settled,
            waiting=len(unsettled),
            behind=len(behind),
            behind_seconds=self.now - min(behind) if behind else 0.0,
            venue_seconds=told,
            is_paced=self.is_paced,
        )

    def _offer(self, count: float) -> None:
        self._owed += count
        whole, self._owed = int(self._owed), self._owed % 1
        self.offered += whole
        each = max(1, whole // WEB_PROCESSES)
        while whole > 0:
            size = min(each, whole)
            whole -= size
            self._turn += 1
            throttle = self._throttles[self._turn % WEB_PROCESSES]
            request = OpenRequest(self._turn // WEB_PROCESSES % CUSTOMERS, "id", "BTC-X", 1)
            refused = len(throttle.refused([request] * size))
            if refused:
                self.refusals.append((self.now, refused))
            if size > refused:
                throttle.hear({"BTC": self.share})
                self._waiting.extend([self.now] * (size - refused))
                self.accepted += size - refused

    def _work(self) -> None:
        if self.is_away:
            return
        for each in [each for each in self._under_way if each.ends_at <= self.now]:
            self._under_way.remove(each)
            self.ages += [(self.now, self.now - at) for at in each.placed]
            self.settled += len(each.placed)
            self._newest = max(self._newest, *each.placed)
        if self._waiting and len(self._under_way) < self.rounds and self._processors_free_at <= self.now:
            placed = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ROUND))]
            self._processors_free_at = self.now + self.round_seconds + len(placed) / self.orders_per_s
            self._under_way.append(_Round(placed, self._processors_free_at + self.venue_seconds))

    def refused(self, *, since: float = 0.0, until: float = float("inf")) -> int:
        return sum(count for at, count in self.refusals if since < at <= until)

    def settled_per_s(self, *, since: float) -> float:
        return sum(at > since for at, _ in self.ages) / (self.now - since)

    def age(self, *, since: float, share: float = 0.99) -> float:
        """The age at which that share of the orders were settled."""
        ages = sorted(age for at, age in self.ages if at > since)
        return ages[int(len(ages) * share)] if ages else 0.0

    def oldest_seconds(self, *, since: float) -> float:
        """The highest age of the oldest unsettled order."""
        return max((age for at, age in self.oldest if at > since), default=0.0)

    def last_refusal_at(self) -> float:
        return self.refusals[-1][0] if self.refusals else 0.0

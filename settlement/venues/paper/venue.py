"""One running venue: engine, journal, limits, keys and faults, and the clock they share.

Starting it from a journal gives back exactly what was acknowledged before the last stop, however it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from settlement.venues.paper.engine import Commission, Engine
from settlement.venues.paper.journal import Journal, read_events
from settlement.venues.paper.limits import Limits, LimitSettings
from settlement.venues.paper.market import DepthShape, Market
from settlement.venues.paper.prices.quotes import PriceSource
from settlement.venues.paper.prices.random_walk import RandomWalk, WalkShape
from settlement.venues.paper.records import Event, PriceMarked, Wallet
from settlement.venues.paper.signing import Credentials
from settlement.venues.paper.state import State
from settlement.venues.paper.symbols import SYMBOLS

MARK_EVERY_MS = 60_000
DEFAULT_CREDENTIALS = Credentials(account="paper", key="paper-key", secret="paper-secret")
DEFAULT_FUNDS: dict[tuple[Wallet, str], Decimal] = {
    (Wallet.SPOT, "USDT"): Decimal("5000000"),
    (Wallet.FUNDING, "USDT"): Decimal("50000000"),
    (Wallet.SPOT, "BTC"): Decimal("50"),
    (Wallet.FUNDING, "BTC"): Decimal("500"),
    (Wallet.SPOT, "ETH"): Decimal("500"),
    (Wallet.FUNDING, "ETH"): Decimal("5000"),
    (Wallet.SPOT, "BNB"): Decimal("100"),
}


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a venue is started with."""

    credentials: tuple[Credentials, ...] = (DEFAULT_CREDENTIALS,)
    funds: dict[tuple[Wallet, str], Decimal] = field(default_factory=lambda: dict(DEFAULT_FUNDS))
    start_prices: dict[str, Decimal] = field(default_factory=dict)
    seed: int = 1
    walk: WalkShape = WalkShape()
    depth: DepthShape = DepthShape()
    commission: Commission = Commission()
    limits: LimitSettings = LimitSettings()
    journal: Path | None = None
    with_fsync: bool = False
    latency_ms: int = 0


class Venue:
    """See the module. ``clock_ms`` is the only clock in the whole venue."""

    def __init__(self, settings: Settings, *, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        """Raises: JournalError if the journal is damaged or another process holds it."""
        self.settings = settings
        self.clock_ms = clock_ms
        self.state = State()
        self.limits = Limits(settings.limits)
        self.credentials = {item.key: item for item in settings.credentials}
        self._journal = self._open_journal()
        self._marked_at_ms = clock_ms()
        self.engine = Engine(
            state=self.state,
            markets={name: self._market(name) for name in SYMBOLS},
            commission=settings.commission,
            record=self._record,
        )
        self._fund_new_accounts()

    def tick(self) -> None:
        """Move every market on to now; now and then note the prices in the journal."""
        now_ms = self.clock_ms()
        for symbol in self.engine.markets:
            self.engine.advance(symbol=symbol, now_ms=now_ms)
        if now_ms - self._marked_at_ms >= MARK_EVERY_MS:
            self._marked_at_ms = now_ms
            self._mark_prices()

    def close(self) -> None:
        """Note the prices and let the journal go."""
        self._mark_prices()
        if self._journal:
            self._journal.close()
            self._journal = None

    def _open_journal(self) -> Journal | None:
        if self.settings.journal is None:
            return None
        journal = Journal(self.settings.journal, with_fsync=self.settings.with_fsync)
        for event in read_events(self.settings.journal):
            self.state.apply(event)
        return journal

    def _record(self, event: Event) -> None:
        if self._journal:
            self._journal.append(event)

    def _market(self, name: str) -> Market:
        now_ms = self.clock_ms()
        return Market(
            symbol=SYMBOLS[name],
            source=self._source(name, now_ms),
            depth=self.settings.depth,
            seed=self.settings.seed,
            now_ms=now_ms,
        )

    def _source(self, name: str, now_ms: int) -> PriceSource:
        start = self.settings.start_prices.get(name, SYMBOLS[name].start_price)
        return RandomWalk(
            symbol=SYMBOLS[name],
            start_price=self.state.marked_prices.get(name, start),
            shape=self.settings.walk,
            seed=self.settings.seed,
            now_ms=now_ms,
        )

    def _mark_prices(self) -> None:
        for name, market in self.engine.markets.items():
            event = PriceMarked(name, market.quote.mid)
            self._record(event)
            self.state.apply(event)

    def _fund_new_accounts(self) -> None:
        now_ms = self.clock_ms()
        for credentials in self.settings.credentials:
            if not self.state.account(credentials.account).is_funded:
                for (wallet, asset), amount in self.settings.funds.items():
                    self.engine.fund(
                        account=credentials.account, wallet=wallet, asset=asset, amount=amount, now_ms=now_ms
                    )

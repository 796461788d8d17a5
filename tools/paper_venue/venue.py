"""One running venue: engine, journal, limits, keys and faults, and the clock they share.

Starting it from a journal gives back exactly what was acknowledged before the last stop, however it stopped.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tools.paper_venue.commission import Commission
from tools.paper_venue.engine import Engine
from tools.paper_venue.faults import Fault, FaultKind, Faults
from tools.paper_venue.journal import Journal, read_events
from tools.paper_venue.limits import Limits, LimitSettings
from tools.paper_venue.market import DepthShape, Market
from tools.paper_venue.prices.sources import PriceSettings, PriceSources
from tools.paper_venue.records import (
    Event,
    Funded,
    PriceMarked,
    ReplayStarted,
    ReplayStopped,
    VenueOpened,
    Wallet,
)
from tools.paper_venue.replica import LaggingReplica
from tools.paper_venue.signing import Credentials
from tools.paper_venue.state import ORDERS_KEPT, State
from tools.paper_venue.streams.connection import ConnectionSettings
from tools.paper_venue.symbols import SYMBOLS

MARK_EVERY_MS = 60_000
DEFAULT_CREDENTIALS = Credentials("paper", "paper-key", "paper-secret")
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
    prices: PriceSettings = field(default_factory=PriceSettings)
    depth: DepthShape = field(default_factory=DepthShape)
    commission: Commission = field(default_factory=Commission)
    limits: LimitSettings = field(default_factory=LimitSettings)
    seed: int = 1
    journal: Path | None = None
    with_fsync: bool = False
    orders_kept: int = ORDERS_KEPT
    latency_ms: int = 0
    latency_jitter_ms: int = 0
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)


class Venue:
    """See the module. ``clock_ms`` is the only clock in the whole venue."""

    def __init__(self, settings: Settings, *, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        """Raises: JournalError, RecordingError."""
        self.settings = settings
        self.clock_ms = clock_ms
        self.state = State(orders_kept=settings.orders_kept)
        self.limits = Limits(settings.limits)
        self.faults = Faults()
        self.credentials = {item.key: item for item in settings.credentials}
        self.listeners: list[Callable[[Event], None]] = []  # are told of each event once it is applied
        self._replicas: dict[int, LaggingReplica] = {}
        self._marked_at_ms = clock_ms()
        sources = PriceSources(settings.prices, seed=settings.seed)
        self._recording = sources.recording
        self._journal = self._open_journal()
        self._name_itself()
        self.engine = Engine(
            state=self.state,
            markets=self._markets(sources),
            commission=settings.commission,
            record=self._record,
            tell=self._tell,
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
        """Note the prices and the end of the replay, and let the journal go."""
        if self._journal:
            self._mark_prices()
            if self._recording:
                self._commit(ReplayStopped(self._recording))
            self._journal.close()
            self._journal = None

    def add_fault(self, description: dict[str, object]) -> Fault:
        """Raises: FaultInvalid."""
        fault = self.faults.add(description, now_ms=self.clock_ms())
        if fault.kind is FaultKind.STALE_READS:
            self._replicas[fault.fault_id] = LaggingReplica(self.state, lag_ms=fault.lag_ms)
        return fault

    def remove_fault(self, fault_id: int) -> bool:
        self._replicas.pop(fault_id, None)
        return self.faults.remove(fault_id)

    def clear_faults(self) -> None:
        self._replicas.clear()
        self.faults.clear()

    def visible(self, *, stale: Fault | None, now_ms: int) -> State:
        """What a read sees: the state itself, or what it was before a fault's lag."""
        replica = self._replicas.get(stale.fault_id) if stale else None
        return replica.seen_at(now_ms=now_ms) if replica else self.state

    def _open_journal(self) -> Journal | None:
        if self.settings.journal is None:
            return None
        journal = Journal(self.settings.journal, with_fsync=self.settings.with_fsync)
        for event in read_events(self.settings.journal):
            self.state.apply(event)
        return journal

    def _name_itself(self) -> None:
        if not self.state.venue_id:
            self._commit(VenueOpened(secrets.token_hex(8)))

    def _record(self, event: Event) -> None:
        if self._journal:
            self._journal.append(event)
        for replica in self._replicas.values():
            replica.feed(event, now_ms=self.clock_ms())

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _markets(self, sources: PriceSources) -> dict[str, Market]:
        now_ms = self.clock_ms()
        if self._recording and self._recording not in self.state.replays:
            self._commit(ReplayStarted(self._recording, now_ms))
        anchor_ms = self.state.replays.get(self._recording, now_ms)
        return {
            name: Market(
                symbol=symbol,
                source=sources.source(
                    symbol=symbol,
                    marked_price=self.state.marked_prices.get(name),
                    anchor_ms=anchor_ms,
                    now_ms=now_ms,
                ),
                depth=self.settings.depth,
                seed=self.settings.seed,
                now_ms=now_ms,
            )
            for name, symbol in SYMBOLS.items()
        }

    def _mark_prices(self) -> None:
        for name, market in self.engine.markets.items():
            self._commit(PriceMarked(name, market.quote.mid))

    def _fund_new_accounts(self) -> None:
        now_ms = self.clock_ms()
        for name in {item.account: None for item in self.settings.credentials}:
            if not self.state.account(name).is_funded:
                for (wallet, asset), amount in self.settings.funds.items():
                    self._commit(Funded(name, wallet, asset, amount, now_ms))

    def _commit(self, event: Event) -> None:
        self._record(event)
        self.state.apply(event)

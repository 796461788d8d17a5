"""A feed on sources whose books a test writes, and a customer who trades at what it quotes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from unittest.mock import patch

from counter.market import listing
from counter.market.feed import Feed
from counter.market.index import Index
from counter.models import IndexPrice, Option, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest, OpenRequest
from counter.trading.watch import Watch
from tests.support.factories import make_customer, place, unique
from tests.support.index_sources import WrittenSource

SECOND = timedelta(seconds=1)
# No expiry is near, and its average has not begun: one that has, with a record that begins now, is not quoted.
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# Three strikes of each expiry and not thirteen: to quote them is most of a tick.
FEW_LISTINGS = partial(listing.listings, strikes_each_side=1)


class Feeding:
    """A feed on sources that a test writes, ticked at moments a second apart, and a customer."""

    def __init__(self, *sources: WrittenSource, term, options, now: datetime = NOON) -> None:
        self.now = now
        self.options = options
        self.sources = sources
        self.index = Index(sources)
        options.BREAKER_AFTER_SECONDS = {
            cause: pair
            for cause, pair in options.BREAKER_AFTER_SECONDS.items()
            if cause in ("quotes_stale", "index_leap")
        } | {cause: (Decimal(10**6), Decimal(10**6)) for cause in ("desk_silent", "unsettled")}
        self.watch = Watch(started_at=self.now, term=term)
        self.feed = Feed(self.index, term, judge=self._judged)
        self.customer = make_customer(balance="1000000", now=now)

    def _judged(self, leaps) -> None:
        self.watch.judge(now=self.now + SECOND / 4, leaps=leaps)

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += SECOND
            with patch.object(listing, "listings", FEW_LISTINGS):
                self.feed.tick(now=self.now)
            self.watch.judge(now=self.now + SECOND / 2, leaps=self.index.leaps)

    def later(self):
        """A moment after this tick and before the next."""
        return self.now + SECOND * 3 / 4

    def option(self, kind: str, coin: str = "BTC", strike: int = 90_000) -> Option:
        options = Option.objects.filter(underlying=coin, kind=kind).order_by("expires_at")
        return min(options, key=lambda option: (abs(option.strike - strike), option.expires_at))

    def opened(self, option: Option, contracts: int, *, max_cost: Decimal | None = None):
        request = OpenRequest(
            customer_id=self.customer.pk,
            client_order_id=unique("o"),
            symbol=option.symbol,
            contracts=contracts,
            max_cost=max_cost,
        )
        return place(request, now=self.later())[0]

    def outcome_of_opening(self, option: Option, contracts: int = 1) -> str:
        request = OpenRequest(
            customer_id=self.customer.pk,
            client_order_id=unique("o"),
            symbol=option.symbol,
            contracts=contracts,
        )
        [outcome] = place_orders(requests=[request], now=self.later())
        return getattr(outcome, "code", "accepted")

    def closing(self, position_id: int, payout: str):
        request = CloseRequest(
            customer_id=self.customer.pk,
            client_order_id=unique("c"),
            position_id=position_id,
            payout=payout,
        )
        [outcome] = place_orders(requests=[request], now=self.later())
        return outcome

    def recorded(self, coin: str = "BTC") -> list[Decimal]:
        return list(IndexPrice.objects.filter(underlying=coin).order_by("at").values_list("price", flat=True))

    def status(self, coin: str = "BTC") -> TradingStatus:
        return TradingStatus.objects.get(underlying=coin)

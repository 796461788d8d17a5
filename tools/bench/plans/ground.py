"""Who acts in the operations, and on which prices."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from counter.market import quotes
from counter.market.listing import listings
from counter.models import Customer
from counter.trading.watch import Watch
from settlement.funds import treasury
from settlement.venues.protocol import Venue

INDEX = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}
Named = Callable[[str], AbstractContextManager[None]]


@dataclass(slots=True)
class Ground:
    """Who acts: a customer with a long history, a member of staff, and the venue; `named` begins an operation."""

    venue: Venue
    orders: int
    named: Named
    customer: Customer = field(init=False)
    api: Client = field(init=False)
    user: Any = field(init=False)
    staff: Client = field(init=False)
    symbols: list[str] = field(init=False)

    def __post_init__(self) -> None:
        history = Customer.objects.filter(reference__startswith="history-").first()
        assert history is not None, "fill the databases first"
        self.customer = history
        token, _ = Token.objects.get_or_create(user=history.user)
        self.api = Client(headers={"authorization": f"Token {token.key}"})
        self.user, _ = get_user_model().objects.get_or_create(
            username="plans", is_staff=True, is_superuser=True
        )
        self.staff = Client()
        self.staff.force_login(self.user)
        treasury.open_books(venue=self.venue, now=timezone.now())
        self.quote()

    def quote(self) -> None:
        """List options around the index, with prices of now, and open the coins."""
        now = timezone.now()
        new = [row for coin in INDEX for row in listings(underlying=coin, index=INDEX[coin], now=now)]
        quotes.list_options(listings=new, now=now)
        self.symbols = [listing.symbol for listing in new][:: max(1, len(new) // 20)]
        premiums = {"bid": Decimal("0.02"), "ask": Decimal("0.021"), "mark": Decimal("0.02")}
        fresh = [
            quotes.NewQuote(
                symbol=listing.symbol,
                implied_volatility=Decimal("0.5"),
                index_price=INDEX[listing.underlying],
                **premiums,
            )
            for listing in new
        ]
        quotes.update_quotes(quotes=fresh, now=now)
        Watch(started_at=now).judge(now=now)

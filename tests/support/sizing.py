"""A coin that charges for size, and what orders on it cost."""

from datetime import UTC, datetime
from decimal import Decimal

from counter.market.firm_quotes import OpenQuoteRequest, give
from counter.models import Quote, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, OpenRequest
from counter.pricing.impact import Depths
from counter.trading.depths import set_depths
from tests.support.factories import make_customer, make_option, make_quote, unique

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
# One contract of 0.01 BTC at 90,000 USDT and an ask of 0.025: 22.50 USDT, of which the spread is 0.5 %. Its delta is
# half a coin for a coin, so 450 USDT, and its vega 0.90 USDT.
DELTA, VEGA = Decimal("0.5"), Decimal(90)
USUAL = Decimal("22.6125")
SPREAD = Decimal("1.005")
DELTA_DEPTH = Depths(delta=Decimal(100_000))


class Market:
    """A call and a put of one coin that charges for size, with greeks of round numbers."""

    def __init__(self, depths=DELTA_DEPTH, now=NOW):
        self.now = now
        self.call, self.put = (make_option(kind=kind, now=now) for kind in "CP")
        TradingStatus.objects.create(underlying="BTC", spread_rate="0.005", since=now, judged_at=now)
        self.quote()
        self.charge(depths)

    def quote(self):
        for option, delta in ((self.call, DELTA), (self.put, -DELTA)):
            make_quote(option, now=self.now)
            Quote.objects.filter(option=option).update(delta=delta, vega=VEGA)

    def charge(self, depths):
        set_depths(underlying="BTC", to=depths, reason="a test", by="ann", now=self.now)

    def open(self, customer, contracts, option=None, *, max_cost="1000000", quote=None):
        return OpenRequest(
            customer_id=customer.pk,
            client_order_id=unique("o"),
            symbol=(option or self.call).symbol,
            contracts=contracts,
            max_cost=max_cost and Decimal(max_cost),
            quote_id=quote and quote.pk,
        )

    def ask(self, customer, contracts, option=None):
        symbol = (option or self.call).symbol
        return give(request=OpenQuoteRequest(customer.pk, symbol, contracts), now=self.now)


def costs(outcomes):
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
    return [outcome.order.amount for outcome in outcomes]


def cost_of(*requests, now=NOW):
    return costs(place_orders(requests=requests, now=now))


def customers(count):
    return [make_customer(balance="1000000", now=NOW) for _ in range(count)]

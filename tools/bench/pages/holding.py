"""What a customer with POSITIONS positions asks for: the parts of the trade page, and what of the API reads."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from counter.market import portfolio
from counter.models import Account, Customer, Position
from counter.money import accounts
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, OpenRequest
from counter.public_ids import Kind, public_id
from tools.bench.pages.intervening import Step
from tools.bench.plans.ground import Ground

REFERENCE = "many-positions"
POSITIONS = 10_000
AT_ONCE = 500
DEPOSIT = Decimal(50_000_000)


def steps(ground: Ground) -> Iterator[Step]:
    """Each address, asked at fresh prices; the customer is made if there is none yet."""
    settings.REQUESTS_PER_SECOND = settings.REQUESTS_AT_ONCE = 1_000_000
    customer = Customer.objects.filter(reference=REFERENCE).first() or _holder(ground)
    portfolio.measure(now=timezone.now())
    page, token = Client(), Token.objects.get_or_create(user=customer.user)[0]
    page.force_login(customer.user)
    api = Client(headers={"Authorization": f"Token {token.key}"})
    for client, path in (
        *((page, path) for path in _pages(customer)),
        *((api, path) for path in _api(customer)),
    ):
        yield Step(f"as customer {path}", ground.quote, partial(client.get, path))


def _holder(ground: Ground) -> Customer:
    now = timezone.now()
    customer = accounts.open_customer(reference=REFERENCE, password=None, now=now)
    accounts.deposit(customer_id=customer.pk, amount=DEPOSIT, reference=REFERENCE, now=now)
    most = {"contracts_limit": 10 * POSITIONS, "notional_limit": DEPOSIT, "orders_limit": POSITIONS}
    Account.objects.filter(customer=customer).update(**most)
    for first in range(0, POSITIONS, AT_ONCE):
        ground.quote()
        orders = [
            OpenRequest(
                customer_id=customer.pk,
                client_order_id=f"{REFERENCE}-{number}",
                symbol=ground.symbols[number % len(ground.symbols)],
                contracts=1 + number % 7,
            )
            for number in range(first, first + AT_ONCE)
        ]
        outcomes = place_orders(requests=orders, now=timezone.now())
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Accepted)]
        if refused:
            raise RuntimeError(f"the positions could not be opened: {refused[0]}")
    return customer


def _pages(customer: Customer) -> list[str]:
    position = Position.objects.filter(customer=customer).select_related("option").latest("pk")
    symbol, position_id = position.option.symbol, public_id(Kind.POSITION, position.pk)
    parts = [
        *("", "book/", f"book/?opened={symbol}", "portfolio/?past=1y", "index/?coin=BTC&span=1w"),
        *(f"ticket/?symbol={symbol}", f"ticket/?position={position_id}", f"ticket/?closing={symbol}"),
        *("history/orders/", "history/positions/", "history/ledger/"),
    ]
    return [f"/trade/{part}" for part in parts]


def _api(customer: Customer) -> list[str]:
    position = Position.objects.filter(customer=customer).latest("pk")
    # A position has the number of the order that opened it.
    order_id, position_id = (public_id(kind, position.pk) for kind in (Kind.ORDER, Kind.POSITION))
    begun, ended = (
        (timezone.now() - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (200, 199)
    )
    parts = [
        *("instruments", "quotes", "greeks", "index?underlying=BTC&span=week", "accounts"),
        *("orders?limit=500", "orders?state=pending", f"orders?from={begun}&to={ended}"),
        *(f"orders?client_order_id={REFERENCE}-1", f"orders/{order_id}", f"positions/{position_id}"),
        *("positions?limit=500", "positions?state=open&limit=500", f"positions?from={begun}"),
        *("ledger?limit=500", f"ledger?from={begun}&to={ended}", f"statements/{begun[:7]}"),
        *("withdrawals", f"withdrawals?from={begun}", "portfolio?span=year"),
    ]
    return [f"/api/v1/{part}" for part in parts]

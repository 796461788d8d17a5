"""Placing an order: lock the account, check, debit, write, and start the chain after the commit."""

from decimal import Decimal

from celery import chain
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tools.bench.peers.plain_chain import tasks
from tools.bench.peers.plain_chain.models import Account, LedgerEntry, Order, Position

MULTIPLIER, INDEX, SPREAD_RATE = Decimal("0.01"), Decimal(90_000), Decimal("0.005")


class InsufficientBalance(Exception):
    """The account holds less than the order costs."""


def place_order(*, account_id: int, symbol: str, contracts: int, premium: Decimal) -> Order:
    """Commit one order; its chain is sent after the commit. Raises: InsufficientBalance."""
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account_id)
        coin = contracts * MULTIPLIER * premium
        cost = (coin * INDEX * (1 + SPREAD_RATE)).quantize(Decimal("0.000001"))
        if account.balance < cost:
            raise InsufficientBalance(account.name)
        account.balance -= cost
        account.save(update_fields=["balance"])
        if not Position.objects.filter(account=account, symbol=symbol).update(
            contracts=F("contracts") + contracts
        ):
            Position.objects.create(account=account, symbol=symbol, contracts=contracts)
        order = Order.objects.create(
            account=account,
            symbol=symbol,
            contracts=contracts,
            coin=coin,
            cost=cost,
            placed_at=timezone.now(),
        )
        LedgerEntry.objects.bulk_create(
            [
                LedgerEntry(order=order, account=f"customer:{account_id}", asset="USDT", amount=-cost),
                LedgerEntry(order=order, account="clearing", asset="USDT", amount=cost),
            ]
        )
        steps = chain(tasks.convert.si(order.pk), tasks.balance.si(order.pk), tasks.report.si(order.pk))
        transaction.on_commit(steps.apply_async)
    return order

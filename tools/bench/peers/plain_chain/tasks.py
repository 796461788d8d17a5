"""The three steps of an order; each may run twice without harm."""

from decimal import Decimal

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from tools.bench.peers.plain_chain.models import Fill, LedgerEntry, Order

PRICE, FEE_RATE = Decimal(90_000), Decimal("0.001")


@shared_task
def convert(order_id: int) -> None:
    """Write down the fill; the venue is spared."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.state != Order.State.PLACED:
            return
        Fill.objects.create(order=order, price=PRICE, coin=order.coin, fee=order.coin * FEE_RATE)
        order.state = Order.State.CONVERTED
        order.save(update_fields=["state"])


@shared_task
def balance(order_id: int) -> None:
    """Book the fill."""
    with transaction.atomic():
        order = Order.objects.select_for_update(of=("self",)).select_related("fill").get(pk=order_id)
        if order.state != Order.State.CONVERTED:
            return
        fill = order.fill
        value = fill.coin * fill.price
        legs = (
            ("venue", "BTC", fill.coin),
            ("trading", "BTC", -fill.coin),
            ("trading", "USDT", value),
            ("venue", "USDT", -value),
        )
        LedgerEntry.objects.bulk_create(
            [
                LedgerEntry(order=order, account=account, asset=asset, amount=amount)
                for account, asset, amount in legs
            ]
        )
        order.state = Order.State.BALANCED
        order.save(update_fields=["state"])


@shared_task
def report(order_id: int) -> None:
    """Tell the customer's side."""
    Order.objects.filter(pk=order_id, state=Order.State.BALANCED).update(
        state=Order.State.REPORTED, reported_at=timezone.now()
    )

"""Waiting until the stack can settle what is sent, and choosing what to trade: the demo and the bench begin with it."""

import time
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.utils import timezone

from counter.models import Option, Quote
from settlement.models import DeskTransfer

READY_WITHIN_SECONDS = 60.0
WORKER_WITHIN_SECONDS = 15.0
LIVES_ON_FOR = timedelta(hours=2)  # nothing that expires while it is traded


class NotReady(Exception):
    """The stack did not get to where orders can be sent."""


def tradable_symbols(*, by_coin: int) -> list[str]:
    """The `by_coin` options nearest the money of each coin, once they are quoted and the desk has opened its books.

    Raises: NotReady when that takes more than READY_WITHIN_SECONDS.
    """
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        fresh = Quote.objects.filter(bid__isnull=False, quoted_at__gte=timezone.now() - timedelta(seconds=5))
        waited = time.monotonic() - deadline + READY_WITHIN_SECONDS
        settling = _worker_answers() or waited > WORKER_WITHIN_SECONDS
        if settling and DeskTransfer.objects.exists() and fresh.exists():
            return near_the_money(by_coin=by_coin)
        time.sleep(0.2)
    raise NotReady("no fresh quotes: look at the logs of feed, worker and beat")


def near_the_money(*, by_coin: int) -> list[str]:
    """The `by_coin` quoted options nearest the money of each coin that live on for some time."""
    return [
        symbol
        for coin in settings.COINS
        for symbol in _near_the_money(coin, Quote.objects.filter(option__underlying=coin).first(), by_coin)
    ]


def _worker_answers() -> bool:
    """Whether a worker takes tasks; without one, as without a broker, orders are settled all the same, only later."""
    try:
        return bool(current_app.control.ping(timeout=0.5))
    except Exception:  # noqa: BLE001 - a broker that is away is no reason to stop
        return False


def _near_the_money(coin: str, quote: Quote | None, count: int) -> list[str]:
    if quote is None:
        return []
    options = Option.objects.filter(
        underlying=coin,
        state=Option.State.LISTED,
        quote__bid__isnull=False,
        expires_at__gt=timezone.now() + LIVES_ON_FOR,
    )
    ordered = sorted(options, key=lambda option: (abs(option.strike - quote.index_price), option.expires_at))
    return [option.symbol for option in ordered[:count]]

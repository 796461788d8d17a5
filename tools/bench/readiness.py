"""Whether the stack can be measured: what is not ready yet, in words, and the wait until nothing is left of it.

A stack that was paused has leaders without a lease, old prices and perhaps halted coins; what is measured then is
refusals. Nothing is measured before all of it is back.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from tools.stack import StackFailed

READY_WITHIN_SECONDS = 600.0
SAYS_EVERY_SECONDS = 5.0
LOOKS_EVERY_SECONDS = 0.1
CANARY_EVERY_SECONDS = 2.0
FRESH_WITHIN = timedelta(seconds=3)
LEADERS = {"default": ("beat", "feed"), "desk": ("intake",)}


def wait(*, what: str, tell: Callable[[str], object]) -> None:
    """Return once nothing is missing; `tell` hears what is, every few seconds.

    Raises: StackFailed with what is still missing after READY_WITHIN_SECONDS.
    """
    from django.utils import timezone

    began_at = said_at = time.monotonic()
    sent_at = 0.0
    while True:
        now = time.monotonic()
        if now - sent_at > CANARY_EVERY_SECONDS:
            _send_canaries()
            sent_at = now
        lacking = missing(now=timezone.now(), canaries_within_seconds=now - began_at)
        if not lacking:
            return
        if now - began_at > READY_WITHIN_SECONDS:
            raise StackFailed(
                f"{what}: the stack is not ready after {now - began_at:.0f} s: {'; '.join(lacking)}"
            )
        if now - said_at > SAYS_EVERY_SECONDS:
            tell(f"{what}: waiting {now - began_at:.0f} s for: {'; '.join(lacking)}")
            said_at = now
        time.sleep(LOOKS_EVERY_SECONDS)


def missing(*, now: datetime, canaries_within_seconds: float) -> list[str]:
    """What is not as it has to be before a measurement; a canary counts that came back within so many seconds."""
    return [
        *_books(),
        *_leaders(),
        *_quotes(now),
        *_coins(now),
        *_canaries(canaries_within_seconds),
        *_unreported(),
    ]


def _books() -> Iterator[str]:
    from settlement.models import DeskTransfer

    if not DeskTransfer.objects.exists():
        yield "the desk has not opened its books"


def _leaders() -> Iterator[str]:
    from infra.coordination.leases import leaders

    for using, names in LEADERS.items():
        alive = {leader.name for leader in leaders(using=using) if leader.is_alive}
        yield from (f"no {name} leads" for name in names if name not in alive)


def _quotes(now: datetime) -> Iterator[str]:
    from django.conf import settings
    from django.db.models import Max

    from counter.models import Quote

    newest = dict(
        Quote.objects.filter(bid__isnull=False)
        .values_list("option__underlying")
        .annotate(newest=Max("quoted_at"))
    )
    for coin in settings.COINS:
        if coin not in newest:
            yield f"{coin} has no quotes"
        elif now - newest[coin] > FRESH_WITHIN:
            yield f"quotes of {coin} are {(now - newest[coin]).total_seconds():.0f} s old"


def _coins(now: datetime) -> Iterator[str]:
    from django.conf import settings

    from counter.circuit_breaker import State
    from counter.models import TradingStatus
    from counter.trading.back_pressure import WHOLE
    from counter.trading.status import trading_by_coin

    traded = trading_by_coin(now=now)
    for coin in settings.COINS:
        if coin not in traded:
            yield f"{coin} was not judged yet"
        elif traded[coin].state is not State.NORMAL:
            yield f"{coin} is {traded[coin].state} ({', '.join(traded[coin].reasons)})"
    for status in TradingStatus.objects.all():
        if status.admitted_permille < WHOLE:
            yield f"{status.admitted_permille} of 1,000 orders of {status.underlying} are admitted"
        if not status.is_paced:
            yield f"orders of {status.underlying} are not paced by the desk"


def _canaries(within_seconds: float) -> Iterator[str]:
    from infra.broker.canary import trips

    for trip in trips():
        if trip.age_seconds is None or not trip.ok or trip.age_seconds > within_seconds:
            yield f"no canary is back from the queue {trip.queue}"


def _unreported() -> Iterator[str]:
    from tools.demo.figures import unreported

    if count := unreported():
        yield f"{count:,} orders are not reported"


def _send_canaries() -> None:
    """One of our own through each queue: beat's come every 5 s only."""
    from celery import current_app
    from django.conf import settings
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [sent_at] = cursor.fetchone()
    for queue in settings.WORKER_QUEUES:
        current_app.send_task(
            "config.canary", args=[queue], queue=queue, headers={"sent_at": sent_at.isoformat()}, expires=60
        )

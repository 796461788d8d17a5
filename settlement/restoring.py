"""A desk that was restored from a backup has forgotten what it sent since: it is held until the venue has told.

Guards against sending twice: orders that wait in the backup may have been executed after it under client ids that
are not in it, so nothing is sent until the venue's own trades since then are all known to the book.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings

from settlement import halts
from settlement.models import Conversion, VenueHalt
from settlement.venues.protocol import Trade, Venue

BY = "restore"
REASON = "restored from a backup: what was sent since then has to be found first"
HELD_FOR_SECONDS = 10 * 365 * 86400.0  # nobody but a person, or `manage.py after_restore`, ends it
CLOCK_MARGIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An order that the venue has executed since the backup and that the book does not know."""

    underlying: str
    venue_order_id: str
    client_order_id: str | None
    coin: Decimal
    usdt: Decimal


def hold(*, backed_up_at: datetime) -> None:
    """Send nothing from now on; call it before any program works with the restored book."""
    # One that stood then says nothing of now: the venue is asked, and halted anew if it has to be.
    halts.lift(VenueHalt.objects.filter(venue=settings.VENUE), by=BY, now=backed_up_at)
    halts.begin(venue=settings.VENUE, reason=REASON, now=backed_up_at, asked_for=HELD_FOR_SECONDS)


def forgotten(*, venue: Venue) -> list[Forgotten]:
    """What the venue has executed since the backup and the book does not know; empty also when nothing is held.

    What the book has sent and not yet heard of is known: it is asked for by its own client id.

    Raises: VenueError.
    """
    held = VenueHalt.objects.filter(venue=venue.name, lifted_at__isnull=True, reason=REASON).first()
    if held is None:
        return []
    found = []
    for underlying in settings.COINS:
        by_order: dict[str, list[Trade]] = {}
        for trade in venue.trades(underlying=underlying, since=held.began_at - CLOCK_MARGIN):
            by_order.setdefault(trade.venue_order_id, []).append(trade)
        for venue_order_id, trades in sorted(by_order.items()):
            client_order_id = venue.client_order_id(underlying=underlying, venue_order_id=venue_order_id)
            if not Conversion.objects.filter(client_order_id=client_order_id or "").exists():
                coin, usdt = sum(trade.coin for trade in trades), sum(trade.usdt for trade in trades)
                found.append(
                    Forgotten(underlying, venue_order_id, client_order_id, Decimal(coin), Decimal(usdt))
                )
    return found


def release_if_nothing_is_forgotten(*, venue: Venue, now: datetime) -> list[Forgotten]:
    """Let the desk send again if the book knows everything that the venue has executed; what it does not know.

    Raises: VenueError.
    """
    found = forgotten(venue=venue)
    if not found:
        halts.lift(VenueHalt.objects.filter(venue=venue.name, reason=REASON), by=BY, now=now)
    return found

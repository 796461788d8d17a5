"""Doors for Celery: each parses, calls one operation and answers. Any of them may run twice, or never."""

from celery import shared_task
from django.utils import timezone

from acceptance.counter_client import CounterUnavailable
from acceptance.intake import settle_soon
from config.leader import exclusive
from settlement import balancing, conversion, recovery, reporting, treasury
from settlement.models import Conversion
from settlement.venues.ccxt_venue import venue
from settlement.venues.protocol import VenueError


@shared_task(name="settlement.convert")
def convert(underlying: str) -> None:
    """Convert what waits for a coin, unless somebody is at it: he looks again when he is done."""
    with exclusive(f"convert {underlying}", using="desk") as alone:
        if not alone:
            return
        try:
            made = conversion.convert_waiting(underlying=underlying, venue=venue(), now=timezone.now())
        except VenueError:
            return  # no price to be had, nothing was claimed: the sweep tries again
    # Looked at only after the lock is free: whoever came while it was held has left his orders to this.
    if made is not None and made.state == Conversion.State.FILLED and conversion.needs_conversion(underlying):
        settle_soon(underlying)


@shared_task(name="settlement.balance")
def balance() -> None:
    """Book what is filled."""
    balancing.balance_filled(now=timezone.now())


@shared_task(name="settlement.report")
def report() -> None:
    """Tell counter what is settled; if counter is away the sweep tries again."""
    try:
        reporting.report_settled(now=timezone.now())
    except CounterUnavailable:
        return


@shared_task(name="settlement.resume")
def resume() -> None:
    """Take whatever is stuck or due one step further."""
    recovery.resume(venue=venue(), now=timezone.now())


@shared_task(name="settlement.rebalance")
def rebalance() -> None:
    """Open the books when they are new, then keep the wallets within their bands."""
    try:
        treasury.open_books(venue=venue(), now=timezone.now())
        treasury.rebalance(venue=venue(), now=timezone.now())
    except VenueError:
        return

"""Doors for Celery: each parses, calls one operation and answers. Any of them may run twice, or never."""

from typing import Any

import structlog
from celery import Task, shared_task
from celery.signals import worker_process_init
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from acceptance.counter_client import CounterUnavailable
from acceptance.intake import settle_soon
from config.leader import exclusive
from settlement import (
    balancing,
    conditions,
    conversion,
    reconciliation,
    recovery,
    reporting,
    rounds,
    treasury,
)
from settlement.venues.ccxt_venue import venue
from settlement.venues.protocol import VenueError

log = structlog.get_logger(__name__)


@worker_process_init.connect
def warm_up(**signal: Any) -> None:
    """Read markets and prices and connect to the database before the first order does: it would wait a second."""
    try:
        treasury.open_books(venue=venue(), now=timezone.now())
        for underlying in settings.COINS:
            venue().market(underlying)
            venue().top_of_book(underlying)
            conversion.needs_conversion(underlying)
    except (VenueError, DatabaseError) as error:
        log.warning("starting cold", error=str(error))


@shared_task(name="settlement.convert", bind=True)
def convert(self: Task, underlying: str) -> None:
    """Work a coin off; when nothing was booked the rest of the chain has nothing to do and is dropped."""
    try:
        worked = rounds.work_off(underlying=underlying, venue=venue())
    except VenueError as error:
        log.warning("nothing converted", coin=underlying, error=str(error))
        self.request.chain = None  # the sweep tries again
        return
    if not worked.rounds:
        self.request.chain = None
    if worked.orders_left:
        settle_soon(underlying)


@shared_task(name="settlement.balance")
def balance() -> None:
    """Book what is filled."""
    balancing.balance_filled(now=timezone.now())


@shared_task(name="settlement.report")
def report() -> None:
    """Tell counter what is settled; if counter is away the sweep tries again."""
    try:
        reporting.report_until_done(clock=timezone.now)
    except CounterUnavailable:
        return


@shared_task(name="settlement.tell_conditions")
def tell_conditions() -> None:
    """Tell counter how each coin stands here; one that does not hear of it for long takes that for a bad sign."""
    try:
        conditions.tell(now=timezone.now())
    except CounterUnavailable:
        return


@shared_task(name="settlement.resume")
def resume() -> None:
    """Take whatever is stuck or due one step further, unless somebody is at it."""
    with exclusive("resume", using="desk") as alone:
        if alone:
            recovery.resume(venue=venue(), now=timezone.now())


@shared_task(name="settlement.reconcile")
def reconcile(by: str = "schedule") -> None:
    """Hold venue, book and counter's clearing against each other, unless somebody is at it."""
    with exclusive("reconcile", using="desk") as alone:
        if alone:
            reconciliation.reconcile(venue=venue(), clock=timezone.now, by=by)


@shared_task(name="settlement.rebalance")
def rebalance() -> None:
    """Open the books when they are new, then keep the wallets within their bands, unless somebody is at it."""
    with exclusive("rebalance", using="desk") as alone:
        if not alone:
            return
        try:
            treasury.open_books(venue=venue(), now=timezone.now())
            treasury.rebalance(venue=venue(), now=timezone.now())
        except VenueError as error:
            log.warning("wallets cannot be read", error=str(error))

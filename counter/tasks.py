"""Doors for Celery: counter's sweeps."""

from celery import shared_task

from counter.expiring import expiry, settlement_index
from counter.limits import in_force
from counter.market import firm_quotes, portfolio
from counter.webhooks import delivering, sweeping
from infra.coordination import clock


@shared_task(name="counter.expire")
def expire() -> None:
    """Take what has expired further, unless another process is at it; what was missed while everything was down too."""
    expiry.sweep(now=clock.of("default").now())


@shared_task(name="counter.sweep_quotes")
def sweep_quotes() -> None:
    """Forget firm quotes that expired long ago."""
    firm_quotes.sweep(now=clock.of("default").now())


@shared_task(name="counter.forget_index")
def forget_index() -> None:
    """Forget the record of the index from long ago."""
    settlement_index.forget_record(now=clock.of("default").now())


@shared_task(name="counter.recount")
def recount() -> None:
    """Put right what accounts say to be open and is not."""
    in_force.recount()


@shared_task(name="counter.deliver_webhooks")
def deliver_webhooks() -> None:
    """Send the webhooks that are due, for some seconds, unless another process is at it."""
    delivering.deliver(clock=clock.of("default").now)


@shared_task(name="counter.sweep_webhooks")
def sweep_webhooks() -> None:
    """Give up webhooks that were tried for days, and forget what was over long ago."""
    sweeping.sweep(now=clock.of("default").now())


@shared_task(name="counter.measure_portfolios")
def measure_portfolios() -> None:
    """Measure what customers have, once an hour for each, and once an hour thin what was measured long ago."""
    now = clock.of("default").now()
    is_first = not portfolio.has_begun(now=now)
    portfolio.measure(now=now)
    if is_first:
        portfolio.thin(now=now)

"""Doors for Celery: each parses, calls one operation and answers. Any of them may run twice, or never."""

from typing import Any

import structlog
from celery import Task, shared_task
from celery.signals import worker_process_init, worker_ready

from acceptance.counter_client import CounterError, CounterUnavailable
from infra.broker import wakeups
from infra.broker.dispatcher import dispatcher
from infra.coordination import clock
from infra.coordination.leader import exclusive
from settlement import reconciliation
from settlement.conversions import balancing, rounds, sweep, worker_warmup
from settlement.conversions.execution import measuring, minutes
from settlement.counter_link import clearing_payments, conditions, reporting
from settlement.funds import treasury
from settlement.interventions import batches
from settlement.restore import hold
from settlement.task_triggers import BALANCE, RESUME, balance_in, settle_soon
from settlement.venues.ccxt_venue import venue
from settlement.venues.protocol import VenueError

log = structlog.get_logger(__name__)

RESUME_AGAIN_SECONDS = 0.2
REPORT_AGAIN_SECONDS = 1.0

_is_up = False  # in the worker's first process, and in those that it starts from then on in place of others


@worker_ready.connect
def carry_on(**signal: Any) -> None:
    """What the workers before these have left is theirs at once."""
    global _is_up
    _is_up = True
    _take_up()


@worker_process_init.connect
def begin(**signal: Any) -> None:
    """Be warm before the first order is; what the process before has left, where this one replaces it, is its own."""
    wakeups.start()
    worker_warmup.warm_up(venue())
    if _is_up:
        _take_up()


def _take_up() -> None:
    """Go on with what was left, reports too: while the one that was killed was at them, all others left them to it."""
    dispatcher.send(RESUME)
    dispatcher.send(BALANCE)


@shared_task(name="settlement.convert", bind=True)
def convert(self: Task, underlying: str) -> None:
    """Work a coin off. The rest of the chain is dropped when nothing was booked, or somebody reports it anyway."""
    try:
        worked = rounds.work_off(underlying=underlying, venue=venue())
    except VenueError as error:
        log.warning("nothing converted", coin=underlying, error=str(error))
        self.request.chain = None  # tried again when the halt's question or the coin is due
        return
    if not worked.rounds or reporting.is_under_way():
        self.request.chain = None
    if worked.orders_left:
        settle_soon(underlying)


@shared_task(name="settlement.balance")
def balance() -> None:
    """Book what is filled and not booked yet, and tell counter what is settled."""
    balancing.balance_filled(now=clock.of("desk").now())
    report()


@shared_task(name="settlement.report")
def report() -> None:
    """Tell counter what is settled; while it is away again and again."""
    try:
        reporting.report_until_done(clock=clock.of("desk").now)
    except CounterUnavailable as error:
        log.info("settlements are reported later", error=str(error))
        balance_in(REPORT_AGAIN_SECONDS)


@shared_task(name="settlement.tell_conditions")
def tell_conditions() -> None:
    """Tell counter how each coin stands here; one that does not hear of it for long takes that for a bad sign."""
    try:
        conditions.tell_news(now=clock.of("desk").now())
    except CounterUnavailable:
        return


@shared_task(name="settlement.resume")
def resume() -> None:
    """Take what is stuck or due one step further, unless another worker holds the lock."""
    with exclusive("resume", using="desk") as alone:
        booked = sweep.resume(venue=venue(), now=clock.of("desk").now()) if alone else 0
        to_go_on = alone and hold.is_to_go_on()
        to_carry_out = alone and batches.is_running()
        to_pay = alone and clearing_payments.is_waiting()
    if booked:
        dispatcher.send(BALANCE)
    if to_go_on:
        dispatcher.send([("settlement.remember", [])])
    if to_carry_out:
        dispatcher.send(batches.TASK)
    if to_pay:
        dispatcher.send(clearing_payments.TASK)
    if not alone:
        # What this was called for may have become due after it was looked at.
        wakeups.call_in(RESUME_AGAIN_SECONDS, RESUME)


@shared_task(name="settlement.remember")
def remember() -> None:
    """Enter what a restored desk has forgotten, where two people have decided that it goes on."""
    try:
        hold.remember(venue=venue(), now=clock.of("desk").now())
    except (VenueError, CounterError) as error:
        log.warning("the desk stays held", error=str(error))


@shared_task(name="settlement.carry_out")
def carry_out() -> None:
    """Carry out some rows of a batch, unless another worker holds the lock, and call for the next."""
    with exclusive("carry out", using="desk") as alone:
        ended = batches.carry_out(venue=venue(), clock=clock.of("desk").now) if alone else 0
    if ended == batches.CHUNK:
        dispatcher.send(batches.TASK)


@shared_task(name="settlement.pay_clearing")
def pay_clearing() -> None:
    """Have counter book approved payments, and book what it has booked, unless somebody is at it."""
    with exclusive("pay clearing", using="desk") as alone:
        if alone:
            clearing_payments.pay_approved()


@shared_task(name="settlement.reconcile")
def reconcile(by: str = "schedule") -> None:
    """Hold venue, book and counter's clearing against each other, unless another worker is at it."""
    with exclusive("reconcile", using="desk") as alone:
        if alone:
            reconciliation.reconcile(venue=venue(), clock=clock.of("desk").now, by=by)


@shared_task(name="settlement.rebalance")
def rebalance() -> None:
    """Open the books when they are new, then keep the wallets within their bands, unless another worker is at it."""
    with exclusive("rebalance", using="desk") as alone:
        if not alone:
            return
        try:
            treasury.open_books(venue=venue(), now=clock.of("desk").now())
            treasury.rebalance(venue=venue(), now=clock.of("desk").now())
        except VenueError as error:
            log.warning("wallets cannot be read", error=str(error))


@shared_task(name="settlement.measure_executions")
def measure_executions() -> None:
    """Enter what was booked since the last time beside its benchmarks, and ask the venue for minutes that are over."""
    with exclusive("measure executions", using="desk") as alone:
        if alone:
            measuring.enter_booked(clock=clock.of("desk").now)
            minutes.ask_awaited(venue=venue(), clock=clock.of("desk").now)

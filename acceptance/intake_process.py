"""The `intake` process: takes orders from the broker while it leads, and goes on without one.

Loops on threads of their own: consume the queue, acknowledge to counter, pull by HTTP what no message brought, tell
counter that the desk is there and how it stands, and sweep. While the broker does not answer the pull takes everything
at once and the sweeps run here, so that orders are still settled.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import Error, close_old_connections, connections
from kombu import Message
from structlog.contextvars import bound_contextvars

from acceptance import deliveries, pulling
from acceptance.counter_client import CounterError
from acceptance.deliveries import Delivery, Unreadable
from infra.broker import dead_letters, wakeups
from infra.broker.connection import check, connect, dead_letter_queue, message_queue
from infra.broker.dispatcher import dispatcher
from infra.broker.message_signing import NotOurs
from infra.coordination import clock
from infra.coordination.leadership import Leadership, LeadershipLost, Term
from infra.db.transient_errors import is_transient, leave_session
from infra.observability import correlation

log = structlog.get_logger(__name__)

BATCH_EVENTS = 2000
PREFETCH_MESSAGES = 200
GATHER_SECONDS = 0.001
# Most orders are settled by then, which counter takes for an acknowledgement: it has nothing to write for them.
GATHER_ACKNOWLEDGEMENTS_SECONDS = 0.5
IDLE_SECONDS = 1.0
RECONNECT_AFTER_SECONDS = 1.0
PULL_EVERY_SECONDS = 0.5  # while there is no broker
# With what makes an order overdue: within 2 s, also while a broker that hangs is not yet found out.
PULL_BESIDE_BROKER_EVERY_SECONDS = 0.9
# A counter that was restored by hand gives ids out again until it is told.
IDS_EVERY_SECONDS = 2.0
STOP_WITHIN_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.2


def run(stopping: threading.Event) -> None:
    """Take orders in while this process leads, until told to stop."""

    def work(term: Term) -> None:
        process = IntakeProcess(term)
        process.start()
        while term.holds() and not stopping.wait(LOOK_EVERY_SECONDS):
            pass
        process.stop()

    current_app.loader.import_default_modules()  # takes seconds that a takeover does not have
    Leadership("intake", using="desk").lead(work, stopping=stopping)


class IntakeProcess:
    """Runs the loops of one term until `stop`; each survives the failure of what it talks to."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self.stopping = threading.Event()
        self.broker_up = threading.Event()
        self._to_acknowledge: queue.Queue[list[int]] = queue.Queue(1000)
        loops = (self._consume, self._acknowledge, self._pull, self._tell, self._sweep)
        self._threads = [
            threading.Thread(target=self._forever, args=(loop,), name=loop.__name__.strip("_"))
            for loop in loops
        ]

    def start(self) -> None:
        """Start the loops. First of all, what was left by the process before is pulled and resumed."""
        current_app.loader.import_default_modules()  # to run tasks here, they have to be known here
        dispatcher.fall_back(broker_is_up=self.broker_up.is_set, acting=self._term.acting)
        wakeups.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is in hand and end; a loop that does not end in time is told, by its name."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(timeout=STOP_WITHIN_SECONDS)
            if thread.is_alive():
                log.error("intake loop did not end in time", loop=thread.name)
        wakeups.stop()
        dispatcher.drain()

    def _forever(self, loop: Callable[[], None]) -> None:
        while not self.stopping.is_set():
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - a loop outlives what it talks to
                log.warning("intake loop starts again", loop=loop.__name__, error=repr(error))
            close_old_connections()
            self.stopping.wait(RECONNECT_AFTER_SECONDS)
        connections.close_all()

    def _consume(self) -> None:
        """Gather what the queue holds into one batch, store it, then tell the broker; until the connection breaks."""
        waiting: list[Delivery] = []

        def receive(message: Message) -> None:
            try:
                waiting.append(deliveries.read(message))
            except (Unreadable, NotOurs) as error:
                _put_aside(message, error)

        try:
            with connect() as connection:
                dead_letter_queue()(
                    connection.default_channel
                ).declare()  # where RabbitMQ puts what it gives up
                consumer = connection.Consumer(
                    [message_queue()],
                    on_message=receive,
                    on_decode_error=_put_aside,  # packed, and not unpacked to anything
                    accept=["json"],
                    prefetch_count=PREFETCH_MESSAGES,
                )
                with consumer:
                    self.broker_up.set()
                    while not self.stopping.is_set():
                        self._gather(connection, waiting)
                        if waiting:
                            self._store(waiting)
                        else:
                            check(consumer.channel)  # a broker that hangs looks like one that is idle
        finally:
            self.broker_up.clear()

    def _gather(self, connection: Any, waiting: list[Delivery]) -> None:
        """Wait for a first message, then take along what is there already."""
        timeout = GATHER_SECONDS if waiting else IDLE_SECONDS
        while sum(len(delivery.events) for delivery in waiting) < BATCH_EVENTS:
            try:
                connection.drain_events(timeout=timeout)
            except TimeoutError:
                return
            timeout = GATHER_SECONDS

    def _store(self, waiting: list[Delivery]) -> None:
        try:
            with bound_contextvars(batch=deliveries.batches(waiting)):
                taken = deliveries.take(waiting, now=clock.of("desk").now(), term=self._term)
        except Error as error:
            if not is_transient(error):
                raise
            # Kept, not given back: RabbitMQ would count one more delivery each time, as if the messages were to blame.
            log.warning("database away, messages wait", messages=len(waiting), error=repr(error))
            leave_session(error)
            self.stopping.wait(RECONNECT_AFTER_SECONDS)
            return
        poison = {id(message) for message, _ in taken.poison}
        for delivery in waiting:
            if id(delivery.message) not in poison:
                delivery.message.ack()
        waiting.clear()
        for message, reason in taken.poison:
            _put_aside(message, reason)
        try:
            self._to_acknowledge.put_nowait(taken.order_ids)
        except queue.Full:
            log.warning("acknowledgements left to the pull", orders=correlation.runs(taken.order_ids))

    def _acknowledge(self) -> None:
        """Acknowledge to counter what is stored; what fails is offered again by the pull and acknowledged then."""
        while not (self.stopping.is_set() and self._to_acknowledge.empty()):
            try:
                order_ids = list(self._to_acknowledge.get(timeout=IDLE_SECONDS))
            except queue.Empty:
                continue
            # Nobody waits for an acknowledgement: one call for many spares counter's web processes.
            self.stopping.wait(GATHER_ACKNOWLEDGEMENTS_SECONDS)
            while not self._to_acknowledge.empty():
                order_ids += self._to_acknowledge.get_nowait()
            # Cut, because what was gathered may be more than counter takes in one call.
            for first in range(0, len(order_ids), BATCH_EVENTS):
                pulling.acknowledge(order_ids[first : first + BATCH_EVENTS])

    def _pull(self) -> None:
        ids_due_at = 0.0
        while not self.stopping.is_set():
            started = time.monotonic()
            if started >= ids_due_at:
                ids_due_at = started + IDS_EVERY_SECONDS
                self._keep_ids_apart()
            has_broker = self.broker_up.is_set()
            min_age_ms = pulling.OVERDUE_AFTER_MS if has_broker else 0
            try:
                pulling.pull_unsynced(min_age_ms=min_age_ms, now=clock.of("desk").now(), term=self._term)
            except CounterError as error:
                log.warning("pull failed", error=str(error))
            every = PULL_BESIDE_BROKER_EVERY_SECONDS if has_broker else PULL_EVERY_SECONDS
            self.stopping.wait(max(0.0, every - (time.monotonic() - started)))

    def _tell(self) -> None:
        """What is done past the queues and the workers: counter is told of the desk's condition in any case."""
        due_at = dict.fromkeys(settings.SWEEPS_PAST_THE_BROKER, 0.0)
        while not self.stopping.is_set():
            for name, every in settings.SWEEPS_PAST_THE_BROKER.items():
                if (started := time.monotonic()) >= due_at[name]:
                    due_at[name] = started + every
                    self._swept(name)
            self.stopping.wait(max(0.0, min(due_at.values()) - time.monotonic()))

    def _keep_ids_apart(self) -> None:
        try:
            pulling.keep_ids_apart()
        except CounterError as error:
            log.info("counter was not told of the highest order id", error=str(error))

    def _sweep(self) -> None:
        """Do beat's and the workers' work while no broker carries it; all of it once at the start.

        On a thread of its own, so that a slow venue holds up no pull.
        """
        due_at = dict.fromkeys(settings.SWEEPS_WITHOUT_BROKER, 0.0)
        first = True
        while not self.stopping.is_set():
            for name, every in settings.SWEEPS_WITHOUT_BROKER.items():
                if (first or not self.broker_up.is_set()) and time.monotonic() >= due_at[name]:
                    self._swept(name)
                    due_at[name] = time.monotonic() + every
            first = False
            self.stopping.wait(PULL_EVERY_SECONDS)

    def _swept(self, name: str) -> None:
        """One sweep; what goes wrong in it stops none of the others. Raises: LeadershipLost."""
        try:
            with self._term.acting():
                current_app.tasks[name]()
        except LeadershipLost:
            raise
        except Exception as error:  # noqa: BLE001 - it comes round again
            log.warning("a sweep failed", sweep=name, error=repr(error))
            close_old_connections()


def _put_aside(message: Message, reason: Exception) -> None:
    """A message that cannot be taken in must not come again; the orders in it, if there are any, come by the pull."""
    log.error("sync message put aside as a dead letter", error=repr(reason))
    dead_letters.bury(message, reason=repr(reason), now=clock.of("desk").now())

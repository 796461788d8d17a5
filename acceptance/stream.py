"""The `intake` process: takes orders from the broker, and goes on without one.

Three loops on threads of their own: consume the queue, acknowledge to counter, and pull by HTTP what no message
brought. While the broker is away the pull quickens and the sweeps run here, so that orders are still settled.
"""

import queue
import threading
import time
from typing import Any

import msgspec
import structlog
from celery import current_app
from django.db import close_old_connections
from django.utils import timezone
from kombu import Message

from acceptance import counter_client, recovery
from acceptance.counter_client import CounterError
from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from config.broker import connect, dispatcher, sync_queue
from counter.contracts import SyncBatch, SyncEvent, decode

log = structlog.get_logger(__name__)

BATCH_EVENTS = 2000
PREFETCH_MESSAGES = 200
GATHER_SECONDS = 0.001
RECONNECT_AFTER_SECONDS = 1.0
PULL_EVERY_SECONDS = 2.0
PULL_EVERY_SECONDS_WITHOUT_BROKER = 0.5
OVERDUE_AFTER_MS = 2000
LOCAL_SWEEPS = ("settlement.resume", "settlement.report", "settlement.rebalance")


class IntakeProcess:
    """Runs the loops until `stop`; each survives the failure of whatever it talks to."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.broker_up = threading.Event()
        self._to_acknowledge: queue.Queue[list[int]] = queue.Queue(1000)
        self._threads = [
            threading.Thread(target=self._forever, args=(loop,), name=name)
            for name, loop in (
                ("consume", self._consume),
                ("acknowledge", self._acknowledge),
                ("pull", self._pull),
            )
        ]

    def start(self) -> None:
        """Start the loops. First of all, what was left by the process before is pulled and resumed."""
        dispatcher.run_locally_on_failure = True
        current_app.loader.import_default_modules()  # to run tasks here, they have to be known here
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _forever(self, loop: Any) -> None:
        while not self.stopping.is_set():
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - a loop outlives whatever it talks to
                log.warning("intake loop starts again", loop=loop.__name__, error=repr(error))
            close_old_connections()
            self.stopping.wait(RECONNECT_AFTER_SECONDS)

    def _consume(self) -> None:
        """Gather what the queue holds into one batch, store it, then tell the broker; until the connection breaks."""
        waiting: list[tuple[list[SyncEvent], Message]] = []

        def receive(message: Message) -> None:
            try:
                waiting.append((decode(message.body, SyncBatch).events, message))
            except msgspec.DecodeError as error:
                # Dropped, not requeued: the orders in it, if there are any, come again by the pull.
                log.error("unreadable sync message dropped", error=str(error))
                message.reject()

        try:
            with connect() as connection:
                consumer = connection.Consumer(
                    [sync_queue()], on_message=receive, accept=["json"], prefetch_count=PREFETCH_MESSAGES
                )
                with consumer:
                    self.broker_up.set()
                    while not self.stopping.is_set():
                        self._gather(connection, waiting)
                        self._store(waiting)
        finally:
            self.broker_up.clear()

    def _gather(self, connection: Any, waiting: list[tuple[list[SyncEvent], Message]]) -> None:
        """Wait for a first message, then take along whatever is there already."""
        timeout = 1.0
        while sum(len(events) for events, _ in waiting) < BATCH_EVENTS:
            try:
                connection.drain_events(timeout=timeout)
            except TimeoutError:
                return
            timeout = GATHER_SECONDS

    def _store(self, waiting: list[tuple[list[SyncEvent], Message]]) -> None:
        if not waiting:
            return
        events = [event for batch, _ in waiting for event in batch]
        intake = ingest(events=events, door=AcceptedOrder.Door.QUEUE, now=timezone.now())
        for _, message in waiting:
            message.ack()
        waiting.clear()
        try:
            self._to_acknowledge.put_nowait(intake.stored)
        except queue.Full:
            log.warning("acknowledgements left to the pull", orders=len(intake.stored))

    def _acknowledge(self) -> None:
        """Acknowledge to counter what is stored; what fails is offered again by the pull and acknowledged then."""
        while not self.stopping.is_set():
            try:
                order_ids = list(self._to_acknowledge.get(timeout=1.0))
            except queue.Empty:
                continue
            while len(order_ids) < BATCH_EVENTS and not self._to_acknowledge.empty():
                order_ids += self._to_acknowledge.get_nowait()
            if order_ids:
                counter_client.acknowledge(order_ids)

    def _pull(self) -> None:
        while not self.stopping.is_set():
            started = time.monotonic()
            with_broker = self.broker_up.is_set()
            try:
                recovery.pull_unsynced(min_age_ms=OVERDUE_AFTER_MS if with_broker else 0, now=timezone.now())
            except CounterError as error:
                log.warning("pull failed", error=str(error))
            if not with_broker:
                for name in LOCAL_SWEEPS:
                    current_app.tasks[name]()
            every = PULL_EVERY_SECONDS if with_broker else PULL_EVERY_SECONDS_WITHOUT_BROKER
            self.stopping.wait(max(0.0, every - (time.monotonic() - started)))

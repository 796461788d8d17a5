"""The desk alone, with real commits, see `tests.support.desk_bench`; and its intake process between real neighbours.

Django is imported late: this may load before its set-up.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from acceptance.intake_process import IntakeProcess
    from infra.coordination.leadership import Term
    from settlement.venues.ccxt_venue import CcxtVenue
    from tests.support.brokers import Broker
    from tests.support.desk_bench import Desk

LOOPS = {"consume", "acknowledge", "pull", "tell", "sweep"}  # threads of the intake process


@pytest.fixture
def desk(
    transactional_db: None,
    broker_url: str,
    venue: "CcxtVenue",
    paper_venue: PaperVenue,
    venue_account: tuple[str, str, str],
) -> "Desk":
    """A desk with an account of its own at the paper venue, its books open."""
    from django.utils import timezone

    from settlement.funds import treasury
    from tests.support.desk_bench import Desk

    made = Desk(venue, paper_venue, venue_account[0])
    treasury.open_books(venue=made.venue, now=timezone.now())
    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The chains that are sent, instead of to the broker."""
    from infra.broker.dispatcher import dispatcher

    chains: list[Any] = []
    monkeypatch.setattr(dispatcher, "send", chains.append)
    return chains


@pytest.fixture(scope="module", params=["valkey", "rabbitmq"])
def url(request: pytest.FixtureRequest, broker: str) -> Iterator[str]:
    """Each broker in turn."""
    from tests.support.brokers import rabbitmq

    if request.param == "valkey":
        yield broker
        return
    with rabbitmq() as made:
        yield made


@pytest.fixture
def mq(two_systems: None, url: str, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Broker]":
    """The broker, empty, and the way of this process to it."""
    from counter.orders import outbox
    from tests.support.brokers import Broker

    made = Broker(url)
    with made.in_use(monkeypatch):
        made.wipe()
        monkeypatch.setattr(outbox, "publisher", outbox.Publisher())
        yield made


@pytest.fixture
def term(two_systems: None) -> "Iterator[Term]":
    """This process leads."""
    from infra.coordination.leadership import Leadership
    from tests.support.streaming import until

    leadership = Leadership("intake", using="desk")
    leadership.start()
    until(lambda: leadership.term)
    assert leadership.term
    yield leadership.term
    leadership.stop()


@pytest.fixture
def intake(
    term: "Term",
    mq: "Broker",
    venue: Any,
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> "Iterator[IntakeProcess]":
    """The intake process on threads of this one, between the real counter, broker and venue."""
    from acceptance.intake_process import IntakeProcess
    from settlement.venues import ccxt_venue
    from tests.support.streaming import until

    settings.COUNTER_URL = live_server.url
    monkeypatch.setattr(ccxt_venue, "_venue", venue)
    process = IntakeProcess(term)
    process.start()
    until(process.broker_up.is_set)
    yield process
    process.stop()
    # On a busy machine one may go on for longer than `stop` waits, and would take the next test's messages.
    until(lambda: not {thread.name for thread in threading.enumerate()} & LOOPS)


@pytest.fixture
def queue_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pulled: what comes in came by the queue."""
    from acceptance import counter_client

    monkeypatch.setattr(counter_client, "pull", lambda **_: [])

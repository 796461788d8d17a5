"""A process killed between any two lines is resumed to the same books: every order settled once, reported once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone
from rest_framework.authtoken.models import Token

import audit
from acceptance import counter_client, pulling
from acceptance.counter_client import CounterUnavailable
from acceptance.models import AcceptedOrder
from counter.expiring import expiry
from counter.models import Account, Option, Position, SyncOrder
from counter.orders import outbox
from counter.orders.requests import OpenRequest
from settlement.conversions import rounds, sweep
from settlement.counter_link import reporting
from settlement.models import Allocation, Conversion, FundsTransfer
from settlement.venues.halts import VenueHalted
from tests.recovery.dooming import Doomed, catches_sigterm
from tests.recovery.points import POINTS, Work
from tests.support.desk_bench import POST, Desk, assert_books_agree, order_states, states
from tests.support.expiring import buy, expiring_option, last_expiry, record_index
from tests.support.factories import make_customer, make_option, place, unique
from tests.support.public_ids import row
from tools.embedded import valkey

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

CONTRACTS = (1, 2, 3)


@pytest.fixture
def desk(two_systems: None, venue: Any, paper_venue: Any, venue_account: tuple[str, str, str]) -> Desk:
    return Desk(venue, paper_venue, venue_account[0])


@pytest.fixture
def task(
    live_server: Any, paper_venue: Any, venue_account: tuple[str, str, str], settings: Any
) -> Iterator[dict]:
    """What the doomed process has to know."""
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    _, key, secret = venue_account
    yield {
        "COUNTER_URL": live_server.url,
        "VENUE_URL": paper_venue.url,
        "VENUE_API_KEY": key,
        "VENUE_API_SECRET": secret,
        "BROKER_URL": django_settings.BROKER_URL,
    }
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def place_three() -> None:
    """In one transaction, which is one message."""
    option, customer = make_option(), make_customer()
    place(
        *(
            OpenRequest(
                customer_id=customer.pk,
                client_order_id=unique("open"),
                symbol=option.symbol,
                contracts=contracts,
            )
            for contracts in CONTRACTS
        )
    )


def balance_of(customer: Any) -> Decimal:
    return Account.objects.values_list("balance", flat=True).get(customer=customer) or Decimal(0)


def standing_at(now: datetime) -> Callable[[], datetime]:
    """A clock that stands."""
    return lambda: now


def carry_on(desk: Desk) -> datetime:
    """What the next process does, again and again, as if time passed quickly; until when."""
    for step in range(20):
        now = timezone.now() + timedelta(seconds=12 * step)
        pulling.pull_unsynced(min_age_ms=0, now=now)
        sweep.resume(venue=desk.venue, now=now)
        if "RECEIVED" in order_states():
            with suppress(VenueHalted):
                desk.convert()
            sweep.resume(venue=desk.venue, now=now)
        reporting.report_settled(clock=standing_at(now))
        if order_states() <= {"REPORTED"} and not FundsTransfer.objects.filter(
            state__in=FundsTransfer.OPEN_STATES
        ):
            return now
    raise AssertionError((order_states(), states()))


def assert_same_books(desk: Desk, now: datetime) -> None:
    """What an undisturbed run leaves: one execution of 6 contracts, three shares, nothing pending, a clean audit."""
    executed = [order for order in desk.venue_has("orders") if Decimal(order["executedQty"])]
    assert [Decimal(order["executedQty"]) for order in executed] == [Decimal("0.0015")]
    assert sorted(SyncOrder.objects.values_list("contracts", flat=True)) == list(CONTRACTS)
    assert Allocation.objects.count() == 3
    assert Conversion.objects.filter(state="BOOKED").count() == 1
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}
    assert_clean(desk, now)


def assert_clean(desk: Desk, now: datetime) -> None:
    assert_books_agree(desk)
    report = audit.run(now=now, venue=desk.venue.real)
    assert (report.broken, report.in_flight, report.unchecked) == (0, 0, []), report


def at(*works: Work) -> list[str]:
    """The names of the points of these works."""
    return [name for name, point in POINTS.items() if point.work in works]


def assert_killed(doomed: Doomed) -> None:
    assert doomed.end() == -signal.SIGKILL


@pytest.mark.parametrize("point", [*at(Work.SETTLE), ""])
def test_a_worker_killed_at_any_point_ends_in_the_same_books(desk, doomed, task, point):
    place_three()
    doomed.begin(Work.SETTLE, point, task)
    assert doomed.end() == (-signal.SIGKILL if point else 0)
    assert_same_books(desk, carry_on(desk))


@pytest.mark.parametrize("point", at(Work.REFUSED))
def test_a_worker_killed_while_its_market_is_closed_ends_in_the_same_books(desk, doomed, task, point):
    place_three()
    desk.paper.add_fault("market_closed", symbol="BTCUSDT")
    doomed.begin(Work.REFUSED, point, task)
    assert_killed(doomed)
    desk.paper.clear_faults()
    assert_same_books(desk, carry_on(desk))


@pytest.mark.parametrize("point", at(Work.BESIDE))
def test_a_further_round_killed_at_any_point_leaves_the_first_and_the_books_as_they_are(
    desk, doomed, task, point, monkeypatch
):
    """The venue has executed the first round's order, of which its sender hears only after the kill."""
    sent, killed = threading.Event(), threading.Event()
    submit = desk.venue.real.submit

    def submit_and_wait(**order: Any) -> Any:
        report = submit(**order)
        sent.set()
        assert killed.wait(60)
        return report

    monkeypatch.setattr(desk.venue.real, "submit", submit_and_wait)
    place_three()
    pulling.pull_unsynced(min_age_ms=0, now=timezone.now())
    first = threading.Thread(target=work_off_and_leave, args=[desk])
    first.start()
    assert sent.wait(15)
    place_three()
    try:
        doomed.begin(Work.BESIDE, point, task)
        assert_killed(doomed)
        assert states()[0] == "SUBMITTED", "the first round was under way until now"
    finally:
        killed.set()
        first.join()
    now = carry_on(desk)

    executed = sum(Decimal(order["executedQty"]) for order in desk.venue_has("orders"))
    assert executed == Decimal("0.003")
    assert Allocation.objects.count() == 6
    assert sum(Conversion.objects.filter(state="BOOKED").values_list("order_count", flat=True)) == 6
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}
    assert_clean(desk, now)


def work_off_and_leave(desk: Desk) -> None:
    """A round on a thread, whose connections end with it."""
    try:
        rounds.work_off(underlying="BTC", venue=desk.venue)
    finally:
        connections.close_all()


@pytest.mark.parametrize("point", at(Work.BALANCE))
def test_a_worker_killed_while_it_books_what_was_filled_books_it_once(desk, doomed, task, point):
    place_three()
    pulling.pull_unsynced(min_age_ms=0, now=timezone.now())
    assert desk.convert().state == Conversion.State.FILLED
    doomed.begin(Work.BALANCE, point, task)
    assert_killed(doomed)
    assert_same_books(desk, carry_on(desk))


@pytest.mark.parametrize("point", at(Work.ASK))
def test_a_worker_killed_while_it_asks_ends_in_the_same_books(desk, doomed, task, point):
    place_three()
    desk.paper.add_fault("reply_lost", **POST)
    pulling.pull_unsynced(min_age_ms=0, now=timezone.now())
    assert desk.convert().state == Conversion.State.UNKNOWN
    doomed.begin(Work.ASK, point, task)
    assert_killed(doomed)
    assert_same_books(desk, carry_on(desk))


@pytest.mark.parametrize("point", at(Work.TREASURY))
def test_a_worker_killed_while_it_moves_funds_moves_them_once(desk, doomed, task, point):
    doomed.begin(Work.TREASURY, point, task)
    assert_killed(doomed)
    now = carry_on(desk)
    done = FundsTransfer.objects.filter(state=FundsTransfer.State.CONFIRMED).count()
    assert len(desk.venue_has("transfers")) == done <= 1
    assert_clean(desk, now)


@pytest.mark.parametrize("point", at(Work.EXPIRE))
def test_a_worker_killed_while_options_expire_ends_each_position_once(desk, doomed, task, point):
    at_moment = last_expiry()
    customer = make_customer(now=at_moment - timedelta(days=1))
    paying = expiring_option(expires_at=at_moment)
    worthless = expiring_option(in_the_money_by=-9000, expires_at=at_moment)
    for option in (paying, paying, worthless, paying):
        buy(customer, option, contracts=2)
    record_index(expires_at=at_moment)
    carry_on(desk)
    before = balance_of(customer)

    doomed.begin(Work.EXPIRE, point, task)
    assert_killed(doomed)
    expiry.expire_due(now=timezone.now())
    now = carry_on(desk)
    expiry.expire_due(now=now)

    assert balance_of(customer) == before + 3 * Decimal("180.000000")
    exercised = SyncOrder.objects.filter(kind="EXERCISE").values_list("position_id", "state")
    assert len(exercised) == len(dict(exercised)) == 3
    assert sorted(Position.objects.values_list("state", flat=True)) == ["EXERCISED"] * 3 + ["EXPIRED"]
    assert set(Option.objects.values_list("state", flat=True)) == {"SETTLED"}
    sold = sum(
        (Decimal(order["executedQty"]) for order in desk.venue_has("orders") if order["side"] == "SELL"),
        Decimal(0),
    )
    assert Decimal("0.006") - sold in (0, Decimal("0.00001"))  # a lot at most is carried
    assert_clean(desk, now)


@pytest.fixture
def web(task: dict, settings: Any) -> str:
    """Where counter is: the doomed process will serve there."""
    url = f"http://127.0.0.1:{valkey.free_port()}"
    task["COUNTER_URL"] = settings.COUNTER_URL = url
    return url


class Client:
    """A customer who sends each order until it is answered, under the same client order id."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.symbol = make_option().symbol
        self.http = requests.Session()
        self.http.trust_env = False
        token = Token.objects.create(user=make_customer().user)
        self.http.headers["Authorization"] = f"Token {token.key}"

    def send(self) -> list[int]:
        """The ids of three orders; of all that are asked for again, the same ones."""
        return [self._send(contracts) for contracts in CONTRACTS]

    def _send(self, contracts: int) -> int:
        order = {"type": "open", "client_order_id": f"c-{contracts}", "symbol": self.symbol}
        answer = self.http.post(
            f"{self.url}/api/v1/orders", json=order | {"contracts": contracts}, timeout=15
        )
        assert answer.status_code == 201, answer.text
        return row(answer.json()["id"])

    def reaches(self) -> bool:
        """Whether the web process answers."""
        try:
            return self.http.get(f"{self.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False


@pytest.mark.parametrize("point", at(Work.WEB))
def test_a_web_process_killed_at_any_point_has_each_order_once(desk, doomed, task, web, point):
    client = Client(web)
    doomed.begin(Work.WEB, point, task)
    wait_for(client.reaches)
    with suppress(requests.ConnectionError, CounterUnavailable):
        client.send()
        pulling.pull_unsynced(min_age_ms=0, now=timezone.now())
        desk.convert()
        carry_on(desk)
    assert_killed(doomed)

    pid = doomed.begin(Work.WEB, "", task)
    wait_for(client.reaches)
    ids = client.send()
    assert client.send() == ids
    now = carry_on(desk)
    os.kill(pid, signal.SIGINT)
    assert doomed.end() == 0
    assert_same_books(desk, now)


@pytest.mark.parametrize("point", at(Work.INTAKE))
def test_an_intake_process_killed_at_any_point_has_each_order_once(desk, doomed, task, point):
    doomed.begin(Work.INTAKE, point, task)
    place_three()
    assert outbox.publisher.flush(10)
    assert_killed(doomed)

    pid = doomed.begin(Work.INTAKE, "", task)
    wait_for(lambda: catches_sigterm(pid) and not SyncOrder.objects.filter(state="PENDING").exists())
    os.kill(pid, signal.SIGTERM)
    assert doomed.end() == 0
    assert AcceptedOrder.objects.count() == 3
    assert_same_books(desk, carry_on(desk))


@pytest.mark.parametrize("fault", ["latency", "reply_delay"])
def test_a_process_killed_while_its_order_is_under_way_sends_no_second_one(desk, doomed, task, fault):
    place_three()
    desk.paper.add_fault(fault, path="/api/v3/order$", method="POST", delay_ms=700)
    pid = doomed.begin(Work.SETTLE, "", task)
    wait_for(lambda: desk.paper.faults()[0]["struck"])
    os.kill(pid, signal.SIGKILL)
    assert doomed.end() == -signal.SIGKILL
    assert states() == ["SUBMITTED"]

    sweep.resume(venue=desk.venue, now=timezone.now() + timedelta(seconds=9))
    wait_for(lambda: desk.venue_has("orders"))  # with latency it is executed only after we first asked
    assert_same_books(desk, carry_on(desk))
    assert len(desk.venue_has("orders")) == 1


def wait_for(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""Yesterday's backup of the desk beside a counter and a venue of today: what it forgot is entered again, once.

The real dumps and the real restore, of this worker's test databases; counter over HTTP; the paper venue.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

import audit
from acceptance import counter_client
from acceptance.models import AcceptedOrder
from acceptance.recovery import pull_unsynced
from config.stack import backups
from counter.models import SyncOrder
from settlement import balancing, halts, history, reconciliation, reporting, restoring, transfers, treasury
from settlement.halts import VenueHalted
from settlement.interventions import deciding
from settlement.interventions.operations import Operation, Person, state_of
from settlement.interventions.terms import Refused, Terms
from settlement.models import Conversion, FundsTransfer, VenueHalt
from settlement.models.history import Subject
from tests.support.databases import environment
from tests.support.desk_bench import POST, Desk, assert_books_agree, order_states, states
from tests.support.factories import make_customer, make_option, place_close, place_open

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True, databases=["default", "desk"])]

LATER_SECONDS = 120.0


@pytest.fixture
def counter(two_systems, live_server, settings) -> Iterator[None]:
    """Counter serves the desk; the audit looks a second time at once."""
    settings.COUNTER_URL = live_server.url
    settings.AUDIT_RECHECK_AFTER_SECONDS = 0.02
    settings.RECONCILE_GRACE_SECONDS = 0.0
    counter_client._local.__dict__.clear()
    yield
    counter_client._session().close()  # whose thread of the server would keep its connection
    counter_client._local.__dict__.clear()


@pytest.fixture
def desk(counter, venue, paper_venue, venue_account) -> Desk:
    made = Desk(venue, paper_venue, venue_account[0])
    treasury.open_books(venue=made.venue, now=timezone.now())
    return made


def order(coin: str = "BTC", contracts: int = 50):
    return place_open(make_customer(), make_option(underlying=coin), contracts=contracts)


def take_in() -> None:
    pull_unsynced(min_age_ms=0, now=timezone.now())


def convert_and_book(desk: Desk, underlying: str = "BTC") -> Conversion:
    made = desk.convert(underlying)
    assert balancing.book(made, now=timezone.now()), made.reason
    return made


def report() -> None:
    reporting.report_settled(clock=timezone.now)


def work(desk: Desk, underlying: str = "BTC") -> Conversion:
    """All that follows an order, to its report."""
    take_in()
    made = convert_and_book(desk, underlying)
    report()
    return made


def back_up(folder: Path) -> Path:
    urls = backups.urls(folder, environment())
    return backups.take(urls=urls, var_dir=folder, to=folder / "backups", now=datetime.now(UTC))


def put_back(backup: Path) -> None:
    """The desk alone: counter goes on from where it is."""
    connections.close_all()
    urls = backups.urls(backup, environment())
    backups.restore(urls=urls, backup=backup, now=datetime.now(UTC), names=["desk"])


def remembered(desk: Desk) -> restoring.Remembered:
    return restoring.remember(venue=desk.venue, now=timezone.now())


def assert_all_clean(desk: Desk) -> None:
    """Every order is reported as counter has it, the venue, both books and the histories agree."""
    report()
    assert order_states() == {"REPORTED"}
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}
    assert_books_agree(desk)
    found = audit.run(now=timezone.now(), venue=desk.venue)
    assert [(each.name, each.broken.listed) for each in found.results if each.broken.total] == []
    run = reconciliation.reconcile(venue=desk.venue, clock=timezone.now, by="test")
    assert (run.open, run.unchecked) == (0, "")


def test_what_was_settled_and_reported_after_the_backup_is_entered_as_counter_was_told(desk, tmp_path):
    order()
    before = work(desk)
    backup = back_up(tmp_path)
    opened = order(contracts=70)
    work(desk)
    order("ETH", contracts=80)
    work(desk, "ETH")
    place_close(opened, contracts=20, payout="at_fill")
    order(contracts=90)
    after = work(desk)
    told = list(SyncOrder.objects.order_by("id").values_list("id", "conversion_id", "settlement_due"))
    sent = len(desk.venue_has("orders"))

    put_back(backup)
    assert Conversion.objects.get().pk == before.pk
    found = remembered(desk)
    assert (found.taken_in, len(found.entered), found.carried, found.left) == (4, 3, [], [])
    assert found.entered[-1] == after.pk
    desk.resume(after=LATER_SECONDS)
    assert len(desk.venue_has("orders")) == sent
    assert_all_clean(desk)
    assert list(SyncOrder.objects.order_by("id").values_list("id", "conversion_id", "settlement_due")) == told
    order()
    assert work(desk).pk > after.pk
    assert_all_clean(desk)


def test_what_was_executed_and_never_reported_is_carried_and_nothing_is_bought_twice(desk, tmp_path):
    order()
    work(desk)
    backup = back_up(tmp_path)
    order(contracts=70)
    take_in()
    forgotten = convert_and_book(desk)

    put_back(backup)
    take_in()
    found = remembered(desk)
    assert (found.taken_in, found.entered, found.left) == (1, [], [])
    [carried] = Conversion.objects.filter(pk__in=found.carried)
    assert (carried.client_order_id, carried.order_count) == (forgotten.client_order_id, 0)
    made = convert_and_book(desk)
    assert made.quantity == Decimal(0), "the orders are netted against what was bought already"
    assert len(desk.venue_has("orders")) == 2
    assert_all_clean(desk)


def test_what_was_being_sent_at_the_backup_is_asked_for_and_settled_as_it_was_told(desk, tmp_path):
    taken: list[Path] = []
    desk.venue.before_submit = lambda client_order_id: taken.append(back_up(tmp_path))
    order()
    work(desk)
    put_back(taken[0])
    assert (states(), order_states()) == (["SUBMITTED"], {"CONVERTING"})
    desk.resume(after=LATER_SECONDS)
    assert states() == ["SUBMITTED"], "held"
    assert remembered(desk).entered == [Conversion.objects.get().pk]
    assert len(desk.venue_has("orders")) == 1
    assert_all_clean(desk)


def test_what_was_to_be_sent_again_at_the_backup_and_was_is_not_sent_once_more(desk, tmp_path):
    desk.paper.add_fault("rate_limit", **POST)
    order()
    take_in()
    made = desk.convert()
    assert made.state == "RETRY_WAIT", made.reason
    backup = back_up(tmp_path)
    Conversion.objects.update(due_at=timezone.now())
    desk.resume()
    report()
    assert states() == ["BOOKED"]

    put_back(backup)
    assert states() == ["RETRY_WAIT"]
    found = remembered(desk)
    assert (found.entered, found.left) == ([made.pk], [])
    desk.resume(after=LATER_SECONDS)
    assert_all_clean(desk)


def test_moves_between_the_wallets_after_the_backup_are_entered(desk, tmp_path):
    order()
    work(desk)
    backup = back_up(tmp_path)
    moved = transfers.start(
        asset="USDT",
        amount=Decimal(1000),
        direction=FundsTransfer.Direction.TO_RESERVE,
        venue=desk.venue,
        now=timezone.now(),
    )
    put_back(backup)
    assert remembered(desk).transfers == 1
    assert FundsTransfer.objects.get(amount=1000).venue_transfer_id == moved.venue_transfer_id
    assert_all_clean(desk)


def test_a_desk_of_which_nothing_was_forgotten_goes_on(desk, tmp_path):
    order()
    take_in()
    put_back(back_up(tmp_path))
    refused_to_send(desk.convert)
    assert remembered(desk) == restoring.Remembered()
    convert_and_book(desk)
    assert_all_clean(desk)


def test_what_counter_was_told_otherwise_than_the_venue_shows_holds_the_desk(desk, tmp_path):
    backup = back_up(tmp_path)
    order()
    made = work(desk)
    SyncOrder.objects.update(settlement_value=Decimal("1.00000000"))
    put_back(backup)
    for _ in range(2):
        found = remembered(desk)
        assert (found.entered, found.carried) == ([], [])
        assert [line for line in found.left if f"conversion {made.pk}" in line] == found.left != []
    assert set(AcceptedOrder.objects.values_list("state", flat=True)) == {"RECEIVED"}
    refused_to_send(desk.convert)


def test_nothing_is_booked_or_undone_past_a_desk_that_has_forgotten(desk, tmp_path):
    """What the venue has above a restored book is entered by `after_restore`, and would be there twice."""
    order()
    take_in()
    desk.paper.add_fault("reply_lost", **POST)
    made = desk.convert()
    assert made.state == "UNKNOWN"
    history.advance(made, Conversion.hand_over, at=timezone.now(), by="ann", why="test", due_at=None)
    backup = back_up(tmp_path)
    order("ETH")
    work(desk, "ETH")
    put_back(backup)

    run = reconciliation.reconcile(venue=desk.venue, clock=timezone.now, by="test")
    assert (run.found, "after_restore" in run.unchecked) == (0, True)
    with pytest.raises(Refused, match="executed"):  # the hold is from sending, not from asking
        release(made, desk)
    standing = VenueHalt.objects.filter(lifted_at__isnull=True)
    assert halts.lift_by_hand(standing, by="ann", now=timezone.now()) == 0
    assert standing.exists()

    remembered(desk)
    request(deciding.OPERATIONS[Subject.CONVERSION, "retry"], made, desk)
    desk.resume()
    assert_all_clean(desk)


def test_what_was_executed_at_the_backup_is_booked_as_counter_was_told_and_not_by_a_try(desk, tmp_path):
    order()
    take_in()
    made = desk.convert()
    assert made.state == "FILLED"
    backup = back_up(tmp_path)
    assert balancing.book(made, now=timezone.now())
    report()
    put_back(backup)
    with pytest.raises(Refused, match="after_restore"):
        request(deciding.OPERATIONS[Subject.CONVERSION, "retry"], made, desk)
    remembered(desk)
    assert_all_clean(desk)


def test_what_is_still_out_of_sight_is_asked_for_as_soon_as_the_desk_is_let_go(desk, tmp_path, monkeypatch):
    """Sweeps go on while `after_restore` works: what is due then is not put off to the end of a hold without end."""
    order()
    take_in()
    desk.paper.add_fault("request_lost", **POST)
    made = desk.convert()
    assert made.state == "UNKNOWN"
    put_back(back_up(tmp_path))
    forgotten = restoring._forgotten

    def swept_meanwhile(*args):
        desk.resume(after=60)
        return forgotten(*args)

    monkeypatch.setattr(restoring, "_forgotten", swept_meanwhile)
    assert remembered(desk) == restoring.Remembered()
    made.refresh_from_db()
    assert made.state == "UNKNOWN"
    assert made.due_at < timezone.now() + timedelta(seconds=LATER_SECONDS)
    for times in (1, 2, 3):
        desk.resume(after=times * LATER_SECONDS)
    made.refresh_from_db()
    assert made.state == "MISSED"


def release(made: Conversion, desk: Desk) -> None:
    may_be_undone = timezone.now() + timedelta(seconds=LATER_SECONDS)
    request(deciding.OPERATIONS[Subject.CONVERSION, "release"], made, desk, now=may_be_undone)


def request(operation: Operation, made: Conversion, desk: Desk, *, now: datetime | None = None) -> None:
    made.refresh_from_db()
    deciding.request(
        operation=operation,
        row_id=made.pk,
        seen=state_of(made),
        terms=Terms(),
        reason="it waits",
        evidence="ticket 4711",
        by=Person(1, "ann"),
        venue=desk.venue,
        now=now or timezone.now(),
    )


def refused_to_send(send: Callable[[], object]) -> None:
    with pytest.raises(VenueHalted, match="restored from a backup"):
        send()

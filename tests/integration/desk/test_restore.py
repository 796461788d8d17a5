"""Yesterday's backup of the desk beside a counter and a venue of today: what it forgot is entered again, once.

The real dumps and the real restore, of this worker's test databases; counter over HTTP; the paper venue.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

import audit
from acceptance import counter_client
from acceptance.models import AcceptedOrder
from acceptance.pulling import pull_unsynced
from counter.models import SyncOrder
from infra.db.decisions import Person
from settlement import reconciliation
from settlement.conversions import balancing
from settlement.counter_link import reporting
from settlement.funds import transfers, treasury
from settlement.interventions import deciding
from settlement.interventions.operations import Operation, state_of
from settlement.interventions.terms import HoldTerms, Refused, Terms
from settlement.models import Carry, Conversion, FundsTransfer, Intervention, VenueHalt
from settlement.models.history import Subject
from settlement.restore import hold as restoring
from settlement.venues import halts, state_history
from settlement.venues.halts import VenueHalted
from tests.support.desk_bench import POST, Desk, assert_books_agree, order_states, states
from tests.support.dumping import back_up, put_back
from tests.support.factories import make_customer, make_option, place_close, place_open

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "desk"]),
    pytest.mark.usefixtures("programs_ended"),
]

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

    put_back(backup, by_commands=True)
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
    desk.paper.add_fault("rate_limit", **POST, retry_after_seconds=0)
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


def held_by_a_contradiction(desk: Desk, tmp_path: Path) -> tuple[Conversion, VenueHalt]:
    """One order settled after the backup, of which counter holds another value than the trades give."""
    backup = back_up(tmp_path)
    order()
    made = work(desk)
    SyncOrder.objects.update(settlement_value=Decimal("1.00000000"))
    put_back(backup)
    return made, VenueHalt.objects.get(reason=halts.RESTORED, lifted_at__isnull=True)


def ask_to_go_on(desk: Desk, hold: VenueHalt, *conversions: int) -> Intervention:
    return deciding.request(
        operation=deciding.OPERATIONS[Subject.HALT, "end_hold"],
        row_id=hold.pk,
        seen=state_of(hold),
        terms=HoldTerms(conversions=conversions),
        reason="counter's row was changed",
        evidence="ticket 4711",
        by=Person(1, "ann"),
        venue=desk.venue,
        now=timezone.now(),
    )


def approve(desk: Desk, made: Intervention, by: Person = Person(2, "bob")) -> None:  # noqa: B008
    deciding.approve(intervention_id=made.pk, by=by, note="seen", venue=desk.venue, now=timezone.now())


def test_two_people_end_the_hold_of_what_cannot_be_proven_and_nothing_is_sent_again(desk, tmp_path):
    made, hold = held_by_a_contradiction(desk, tmp_path)
    sent = len(desk.venue_has("orders"))
    asked = ask_to_go_on(desk, hold, made.pk)
    remembered(desk)
    assert halts.is_held(desk.venue.name)  # one person alone ends nothing
    with pytest.raises(Refused, match="another person"):
        approve(desk, asked, by=Person(1, "ann"))
    approve(desk, asked)
    assert restoring.is_to_go_on()
    found = remembered(desk)
    assert (found.given_up, found.left, found.carried) == ([made.pk], [], [])
    assert not halts.is_held(desk.venue.name)
    entered = Conversion.objects.get(pk=made.pk)
    assert (entered.state, entered.venue_order_id) == ("BOOKED", made.venue_order_id)
    assert remembered(desk) == restoring.Remembered()
    desk.resume(after=LATER_SECONDS)
    report()
    assert (order_states(), len(desk.venue_has("orders"))) == ({"REPORTED"}, sent)
    run = reconciliation.reconcile(venue=desk.venue, clock=timezone.now, by="test")
    assert (run.open, run.unchecked) == (0, "")
    order()
    assert work(desk).pk > made.pk


def test_what_is_told_of_no_trade_at_all_is_carried_and_bought_once_by_the_next(desk, tmp_path):
    made, hold = held_by_a_contradiction(desk, tmp_path)
    SyncOrder.objects.update(settlement_price=Decimal("1.00000000"))
    approve(desk, ask_to_go_on(desk, hold, made.pk))
    found = remembered(desk)
    assert (found.given_up, found.left, len(found.carried)) == ([made.pk], [], 1)
    # What was told without a trade and the trade that nothing was told of make up for each other.
    assert abs(Carry.objects.get(pk="BTC").coin) < Decimal("0.0001")  # but for what a lot is short of
    run = reconciliation.reconcile(venue=desk.venue, clock=timezone.now, by="test")
    assert (run.open, run.unchecked) == (0, "")


def test_nothing_is_given_up_that_can_be_proven_or_was_not_named(desk, tmp_path):
    made, hold = held_by_a_contradiction(desk, tmp_path)
    with pytest.raises(Refused, match="can be proven, or nobody was told"):
        ask_to_go_on(desk, hold, made.pk, made.pk + 7)
    asked = ask_to_go_on(desk, hold, made.pk)
    value = SyncOrder.objects.get().coin * made.price
    SyncOrder.objects.update(settlement_value=value)  # the truth arrives before the approval
    with pytest.raises(Refused):
        approve(desk, asked)
    assert not halts.is_held(desk.venue.name)
    asked.refresh_from_db()
    assert asked.state != "APPLIED"
    assert_all_clean(desk)


def test_nothing_is_booked_or_undone_past_a_desk_that_has_forgotten(desk, tmp_path):
    """What the venue has above a restored book is entered by `after_restore`, and would be there twice."""
    order()
    take_in()
    desk.paper.add_fault("reply_lost", **POST)
    made = desk.convert()
    assert made.state == "UNKNOWN"
    state_history.advance(made, Conversion.hand_over, at=timezone.now(), by="ann", why="test", due_at=None)
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

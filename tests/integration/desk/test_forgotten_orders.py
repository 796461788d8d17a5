"""An id that the desk holds for another order: forged, or given out again by a restored counter; people end each state.

The customer's real order is settled once, what the desk did for the other lies in suspense, and everything agrees.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection, connections
from django.utils import timezone

import audit
from acceptance import counter_client
from acceptance.models import AcceptedOrder, Conflict
from acceptance.pulling import keep_ids_apart, pull_unsynced
from counter.market.firm_quotes import OpenQuoteRequest, give
from counter.models import FirmQuote, SyncOrder, Transfer, Withdrawal
from counter.money.withdrawals import reserve
from counter.orders.ids import TooFarAhead, move_past
from counter.orders.sequences import ORDERS_APART
from counter.trading.unsettled import read_unsettled
from settlement import reconciliation
from settlement.book.chart import SUSPENSE
from settlement.conversions import balancing
from settlement.counter_link import reporting
from settlement.funds import treasury
from settlement.interventions.terms import Refused
from settlement.models import ReconciliationBreak, VenueHalt
from settlement.venues.halts import RESTORED
from tests.support import people
from tests.support.databases import environment, leave
from tests.support.desk_bench import Desk, assert_books_agree, book_balances, event, take_in
from tests.support.factories import make_customer, make_option, place_open, unique
from tools.stack import backups

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


@pytest.fixture
def desk(two_systems, live_server, settings, venue, paper_venue, venue_account) -> Iterator[Desk]:
    """Counter serves the desk; the audit looks a second time at once."""
    settings.COUNTER_URL = live_server.url
    settings.AUDIT_RECHECK_AFTER_SECONDS = 0.02
    settings.RECONCILE_GRACE_SECONDS = settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0.0
    counter_client._local.__dict__.clear()
    made = Desk(venue, paper_venue, venue_account[0])
    treasury.open_books(venue=made.venue, now=timezone.now())
    yield made
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def pull() -> None:
    pull_unsynced(min_age_ms=0, now=timezone.now())


def settle(desk: Desk) -> None:
    """Convert and book what waits, and report it."""
    assert balancing.book(desk.convert(), now=timezone.now())
    report()


def report() -> None:
    reporting._aside.clear()
    reporting.report_settled(clock=timezone.now)


def decide(desk: Desk, row, kind: str) -> None:
    """Ann asks, and where that is needed Bob approves."""
    people.decide(row, kind, desk.venue)


def next_order_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value + is_called::int FROM counter_syncorder_id_seq")
        return cursor.fetchone()[0]


def assert_all_is_well(desk: Desk, *, disowned: int) -> None:
    """Every order of counter is settled once, nothing is left in any state that waits, and all sides agree."""
    assert read_unsettled(overdue_before=timezone.now()) == {}  # which is what reopens a coin
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}
    real = AcceptedOrder.objects.exclude(state="DISOWNED")
    assert set(real.values_list("order_id", "state")) == {
        (order_id, "REPORTED") for order_id in SyncOrder.objects.values_list("id", flat=True)
    }
    assert AcceptedOrder.objects.filter(state="DISOWNED").count() == disowned
    assert not Conflict.objects.filter(resolved_at__isnull=True).exists()
    assert_books_agree(desk)
    found = audit.run(now=timezone.now(), venue=desk.venue)
    assert [(each.name, each.broken.listed) for each in found.results if each.broken.total] == []
    run = reconciliation.reconcile(venue=desk.venue, clock=timezone.now, by="test")
    assert (run.open, run.unchecked) == (0, "")


@pytest.mark.parametrize("payout", ["instant", "at_fill"])
@pytest.mark.parametrize("kind", ["OPEN", "CLOSE"])
@pytest.mark.parametrize("already", ["waits", "settled"])
def test_a_real_order_whose_id_was_forged_is_settled_once(desk, already, kind, payout):
    forged = event(order_id=next_order_id(), kind=kind, payout=payout, coin="0.3")
    take_in(forged)
    if already == "settled":
        settle(desk)  # counter knows no such order and refuses
        assert AcceptedOrder.objects.get().state == "SETTLED"
    real = place_open(make_customer(), make_option(), contracts=50)
    assert real.id == forged.order_id
    pull()
    report()
    assert SyncOrder.objects.get().state == "PENDING", "it is not settled by what another order came to"
    conflict = Conflict.objects.get()
    with pytest.raises(Refused, match="counter has what came"):
        decide(desk, conflict, "keep_ours")

    decide(desk, conflict, "take_theirs")
    settle(desk)
    assert_all_is_well(desk, disowned=1)
    in_suspense = {asset: amount for (code, asset), amount in book_balances().items() if code == SUSPENSE}
    sign = 1 if kind == "OPEN" else -1
    if already == "waits":
        assert in_suspense == {}  # nothing was converted for it
    else:
        # What was bought for nobody is what a person can sell, and the money for it is what nobody owes.
        assert in_suspense["BTC"] == -sign * Decimal("0.3")
        assert (in_suspense["USDT"] > 0) is (sign > 0)


def test_an_order_that_is_being_converted_is_disowned_when_its_conversion_has_ended(desk):
    forged = event(order_id=next_order_id(), coin="0.3")
    take_in(forged)
    made = desk.convert()
    place_open(make_customer(), make_option(), contracts=50)
    pull()
    with pytest.raises(Refused, match=f"conversion {made.pk}"):
        decide(desk, Conflict.objects.get(), "take_theirs")
    balancing.book(made, now=timezone.now())
    decide(desk, Conflict.objects.get(), "take_theirs")
    settle(desk)
    assert_all_is_well(desk, disowned=1)


def test_what_counter_does_not_have_is_not_taken_in_and_ours_is_kept(desk):
    real = place_open(make_customer(), make_option(), contracts=50)
    pull()
    settle(desk)
    take_in(event(order_id=real.id, coin="3"))
    with pytest.raises(Refused, match="keep ours"):
        decide(desk, Conflict.objects.get(), "take_theirs")
    decide(desk, Conflict.objects.get(), "keep_ours")
    assert_all_is_well(desk, disowned=0)


def test_what_was_left_out_while_counter_was_silent_is_open_again_when_counter_has_it(desk, settings):
    take_in(event(order_id=next_order_id(), coin="0.3"))
    place_open(make_customer(), make_option(), contracts=50)
    pull()
    there, settings.COUNTER_URL = settings.COUNTER_URL, "http://127.0.0.1:9"
    with pytest.raises(Refused, match="counter does not say"):
        decide(desk, Conflict.objects.get(), "take_theirs")
    decide(desk, Conflict.objects.get(), "keep_ours")
    assert Conflict.objects.get().resolved_at is not None
    settings.COUNTER_URL = there
    pull()
    conflict = Conflict.objects.get()
    assert conflict.resolved_at is None
    decide(desk, conflict, "take_theirs")
    settle(desk)
    assert_all_is_well(desk, disowned=1)


def test_an_order_that_counter_has_is_not_disowned(desk):
    place_open(make_customer(), make_option(), contracts=50)
    pull()
    settle(desk)
    with pytest.raises(Refused, match="counter has an order under this id"):
        decide(desk, AcceptedOrder.objects.get(), "disown")


def test_an_order_that_counter_believes_acknowledged_is_taken_in_from_its_break(desk):
    real = place_open(make_customer(), make_option(), contracts=50)
    SyncOrder.objects.filter(pk=real.id).update(state="SYNCED", synced_at=timezone.now())
    pull()
    assert not AcceptedOrder.objects.exists()
    for _ in range(2):
        reconciliation.reconcile(venue=desk.venue, clock=timezone.now, by="test")
    decide(desk, ReconciliationBreak.objects.get(state="OPEN"), "retry")
    settle(desk)
    assert_all_is_well(desk, disowned=0)


# --- a counter that was restored from an older backup than the desk ---------------------------------------------------


def restore_counter(backup) -> None:
    leave()
    with connections["desk"].cursor() as cursor:  # of the server's threads, which connect again
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [connections["default"].settings_dict["NAME"]],
        )
    connections.close_all()
    urls = backups.urls(backup, environment())
    backups.restore(urls=urls, backup=backup, now=datetime.now(UTC), names=["crossbook"])


HELD_BY_CUSTOMERS = (SyncOrder, Transfer, FirmQuote, Withdrawal)


def last_ids() -> list[int]:
    """The highest id of each kind that customers hold."""
    return [model.objects.latest("pk").pk for model in HELD_BY_CUSTOMERS]


def live_on() -> list[int]:
    """An order, a firm quote and a withdrawal, with what the ledger has of them; their ids, as `last_ids`."""
    customer, option = make_customer(), make_option()
    place_open(customer, option, contracts=50)
    give(request=OpenQuoteRequest(customer.pk, option.symbol, 1), now=timezone.now())
    reserve(customer_id=customer.pk, amount=Decimal(1), reference=unique("w"), now=timezone.now())
    return last_ids()


@pytest.mark.usefixtures("programs_ended")
@pytest.mark.parametrize("restored_by", ["us", "other tools", "other tools, and told by the desk"])
def test_a_restored_counter_gives_no_id_out_again_of_anything_that_customers_hold(
    desk, tmp_path, restored_by
):
    live_on()
    backup = backups.take(
        urls=backups.urls(tmp_path, environment()),
        var_dir=tmp_path,
        to=tmp_path / "backups",
        now=datetime.now(UTC),
    )
    given = [live_on() for _ in range(3)][-1]
    pull()
    restore_counter(backup)
    if restored_by != "us":
        leave_sequences_where_they_were()
        connections.close_all()
    if restored_by == "other tools":
        backups.hold(urls=backups.urls(tmp_path, environment()), moment=timezone.now())
    elif restored_by != "us":
        keep_ids_apart()
    assert all(new > old for new, old in zip(live_on(), given, strict=True)), given


def leave_sequences_where_they_were() -> None:
    with connection.cursor() as cursor:
        for model in HELD_BY_CUSTOMERS:
            table = model._meta.db_table
            cursor.execute(f"SELECT setval('{table}_id_seq', max(id)) FROM {table}")


@pytest.mark.usefixtures("programs_ended")
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_restored_counter_gives_no_id_out_again_and_what_it_forgot_is_ended_by_people(
    desk, tmp_path, by_hand
):
    place_open(make_customer(), make_option(), contracts=50)
    pull()
    settle(desk)
    urls = backups.urls(tmp_path, environment())
    backup = backups.take(urls=urls, var_dir=tmp_path, to=tmp_path / "backups", now=datetime.now(UTC))
    for contracts in (60, 70):
        place_open(make_customer(), make_option(), contracts=contracts)
    pull()
    settle(desk)
    forgotten = sorted(AcceptedOrder.objects.values_list("order_id", flat=True))[1:]

    restore_counter(backup)
    assert SyncOrder.objects.count() == 1
    if by_hand:  # by other tools than ours, which leave the sequence where it was
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('counter_syncorder_id_seq', max(id)) FROM counter_syncorder")
        again = place_open(make_customer(), make_option(), contracts=80)
        assert again.id == forgotten[0]
        pull()
        assert Conflict.objects.filter(resolved_at__isnull=True).count() == 1
        keep_ids_apart()
    after = place_open(make_customer(), make_option(), contracts=90)
    assert after.id > max(forgotten)
    pull()
    if by_hand:
        decide(desk, Conflict.objects.get(), "take_theirs")
        forgotten = forgotten[1:]
    settle(desk)
    found = audit.run(now=timezone.now(), venue=desk.venue)
    assert {finding.what for each in found.results for finding in each.broken.listed} >= {
        "order was never placed at counter"
    }
    for order_id in forgotten:
        decide(desk, AcceptedOrder.objects.exclude(state="DISOWNED").get(order_id=order_id), "disown")
    assert_all_is_well(desk, disowned=2)


@pytest.mark.usefixtures("programs_ended")
def test_what_other_tools_restored_is_held_and_gives_no_id_out_again(desk, tmp_path):
    place_open(make_customer(), make_option(), contracts=50)
    pull()
    settle(desk)
    last = SyncOrder.objects.get().id
    moment = timezone.now()
    leave()
    backups.hold(urls=backups.urls(tmp_path, environment()), moment=moment)
    held = VenueHalt.objects.get(lifted_at__isnull=True)
    assert (held.reason, held.began_at) == (RESTORED, moment)
    assert place_open(make_customer(), make_option(), contracts=60).id > last + ORDERS_APART


def test_ids_move_past_the_desks_and_never_back_and_not_beyond_reason(two_systems):
    last = next_order_id()
    assert move_past(last + 5)
    assert next_order_id() == last + 5 + ORDERS_APART + 1
    assert not move_past(last + 7)
    assert next_order_id() == last + 5 + ORDERS_APART + 1
    with pytest.raises(TooFarAhead):
        move_past(2**62)

"""Where the record of the index has a gap two people settle it; one alone cannot, by any way."""

from decimal import Decimal
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

from counter.expiring import expiry, index_entries
from counter.expiring.index_entries import EntryRefused
from counter.models import Expiry, IndexEntry, Option, SettlementIndex, SyncOrder, TradingSwitch
from counter.trading.switches import throw
from infra.db.decisions import Person
from tests.support.expiring import AFTER, LATER, SECOND, buy, expiring_option, position_of, record_index
from tests.support.factories import make_customer
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

ANN, BOB, EVE = Person(1, "ann"), Person(2, "bob"), Person(3, "eve")
PRICE = Decimal(100_000)


@pytest.fixture
def opening(db):
    """A position whose option has expired with ten minutes of the index missing."""
    opening = buy(make_customer(), expiring_option())
    record_index(left_out=range(10, 20))
    expiry.expire_due(now=AFTER)
    return opening


def requested(price: Decimal = PRICE, by: Person = ANN) -> IndexEntry:
    return index_entries.request(
        expiry_id=Expiry.objects.get().pk,
        price=price,
        reason="the feed was down",
        evidence="ticket 17",
        by=by,
        now=AFTER + SECOND,
    )


def approve(entry: IndexEntry, by: Person = BOB) -> IndexEntry:
    return index_entries.approve(entry_id=entry.pk, by=by, note="seen", now=AFTER + 2 * SECOND)


def test_a_gap_keeps_positions_open_until_it_is_settled_by_two_people(opening):
    assert position_of(opening).state == "OPEN"
    found = Expiry.objects.get()
    assert (found.state, found.why) == (
        "WAITING",
        "the index was recorded in 20 of the 30 minutes, 27 are needed",
    )
    approve(requested())
    assert expiry.expire_due(now=LATER) == 1
    assert position_of(opening).proceeds == Decimal("190.000000")
    index = SettlementIndex.objects.get()
    assert (index.price, index.entry.requested_by, index.entry.decided_by) == (PRICE, "ann", "bob")
    assert (index.samples, index.minutes, index.largest_gap_seconds) == (120, 20, 610)


def test_it_is_looked_at_once_and_no_later_price_closes_the_gap(opening):
    record_index(price=Decimal(1))
    expiry.expire_due(now=LATER)
    assert position_of(opening).state == "OPEN"


def test_the_person_who_asked_cannot_approve(opening):
    entry = requested()
    with pytest.raises(EntryRefused, match="another person"):
        approve(entry, by=ANN)
    with pytest.raises(IntegrityError, match="maker_is_not_checker"), transaction.atomic():
        IndexEntry.objects.filter(pk=entry.pk).update(
            state="APPLIED", decided_by_id=ANN.id, decided_by="ann", decided_at=AFTER
        )
    assert not SettlementIndex.objects.exists()


@pytest.mark.parametrize("changes", ["price = 1", "requested_by_id = 2", "evidence = 'other'"])
def test_what_was_asked_for_cannot_be_changed_nor_decided_twice(opening, changes):
    entry = requested()
    for sql in (
        f"UPDATE counter_indexentry SET {changes}",
        f"UPDATE counter_indexentry SET state = 'REJECTED', decided_by_id = 9, decided_by = 'x', "
        f"decided_at = now(), {changes}",
        "DELETE FROM counter_indexentry",
    ):
        with (
            pytest.raises(DatabaseError, match="keeps what was asked"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
    approve(entry)
    with pytest.raises(EntryRefused, match="decided by bob"):
        approve(entry, by=EVE)
    with pytest.raises(EntryRefused, match="decided by bob"):
        index_entries.reject(entry_id=entry.pk, by=EVE, note="too late", now=AFTER)


def test_one_waits_at_a_time_and_one_that_was_rejected_makes_room(opening):
    first = requested()
    with pytest.raises(EntryRefused, match="another entry waits"):
        requested(by=BOB)
    with pytest.raises(EntryRefused, match="a reason"):
        index_entries.reject(entry_id=first.pk, by=BOB, note=" ", now=AFTER)
    assert index_entries.reject(entry_id=first.pk, by=BOB, note="no", now=AFTER).state == "REJECTED"
    second = requested()
    assert index_entries.reject(entry_id=second.pk, by=ANN, note="a typo", now=AFTER).state == "REJECTED"
    assert approve(requested()).state == "APPLIED"


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "1e12", "1.000000001"])
def test_a_price_that_cannot_be_one_is_refused(opening, price):
    with pytest.raises(EntryRefused, match="positive price"):
        requested(Decimal(price))


def test_an_expiry_whose_record_is_whole_takes_no_entry():
    buy(make_customer(), expiring_option())
    record_index()
    expiry.expire_due(now=AFTER - 10 * SECOND)
    with pytest.raises(EntryRefused, match="needs no entry"):
        requested()
    expiry.expire_due(now=AFTER)
    with pytest.raises(EntryRefused, match="needs no entry"):
        requested()


def test_while_all_of_the_coin_is_stopped_people_may_say_another_index_than_the_record():
    opening = buy(make_customer(), expiring_option())
    record_index()
    stop = {"underlying": "BTC", "reason": "its index is wrong", "by": "ann", "now": AFTER}
    throw(to=TradingSwitch.State.ALL_STOPPED, **stop)
    expiry.expire_due(now=AFTER)
    approve(requested())
    expiry.expire_due(now=LATER)
    assert position_of(opening).state == "OPEN"
    throw(to=TradingSwitch.State.RUNNING, **stop)
    expiry.expire_due(now=LATER)
    assert position_of(opening).proceeds == Decimal("190.000000")


def test_without_a_position_nobody_is_asked_and_the_option_is_settled_without_an_index():
    option = expiring_option()
    expiry.expire_due(now=LATER)
    assert Expiry.objects.get().state == "SETTLED"
    found = Option.objects.get(pk=option.pk)
    assert (found.state, found.settlement_index) == ("SETTLED", None)


@pytest.mark.django_db(transaction=True)
def test_of_two_approvals_and_a_rejection_at_once_one_counts(opening):
    entry = requested()

    def attempt(deciding):
        try:
            return deciding()
        except EntryRefused:
            return None

    reject = partial(index_entries.reject, entry_id=entry.pk, by=EVE, note="no", now=AFTER)
    decisions = [partial(approve, entry), partial(approve, entry, by=EVE), reject]
    done = [made for made in at_once([partial(attempt, each) for each in decisions]) if made is not None]
    assert len(done) == 1
    expiry.expire_due(now=LATER)
    assert SyncOrder.objects.filter(kind="EXERCISE").count() == (done[0].state == "APPLIED")

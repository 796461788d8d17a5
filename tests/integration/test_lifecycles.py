"""States are set by transitions only: protected in every thread, with conditions and permissions on the transitions."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from counter.models import Expiry, IndexEntry, Option, TradingSwitch
from infra.db.lifecycles import may, state_fields
from settlement.models import Conversion, FundsTransfer, Intervention, ReconciliationBreak, StateChange
from settlement.venues import state_history
from settlement.venues.state_history import MovedMeanwhile
from tests.support.desk_bench import at_once
from tests.support.people import ANN, BOB
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(databases=["default", "desk"])
NOW = timezone.now()


def transfer(**changes) -> FundsTransfer:
    return FundsTransfer.objects.create(
        **{"asset": "USDT", "direction": "to_trading", "amount": Decimal(5), "planned_at": NOW} | changes
    )


def entry() -> IndexEntry:
    expiry = Expiry.objects.create(underlying="BTC", expires_at=NOW, taken_at=NOW, why="a gap")
    return IndexEntry.objects.create(
        expiry=expiry,
        price=Decimal(90_000),
        reason="why",
        evidence="how",
        requested_by_id=ANN.id,
        requested_by=ANN.name,
        requested_at=NOW,
    )


def test_a_state_cannot_be_assigned():
    row = transfer()
    with pytest.raises(AttributeError, match="not allowed"):
        row.state = "CONFIRMED"
    assert row.state == "PLANNED"


def test_a_row_is_read_anew_with_its_state_and_its_relations():
    row = entry()
    stale = IndexEntry.objects.select_related("expiry").get(pk=row.pk)
    row.sign(BOB, "no", at=NOW)
    row.reject()
    row.save()
    stale.refresh_from_db()
    assert (stale.state, stale.decided_by) == ("REJECTED", "bob")
    stale.refresh_from_db(fields=["decision"])
    assert IndexEntry.objects.only("id").get(pk=row.pk).state == "REJECTED"


def test_a_row_that_is_gone_keeps_what_it_shows_and_the_class_its_protection():
    row, other = transfer(), transfer(asset="BTC")
    FundsTransfer.objects.filter(pk=row.pk).delete()
    with pytest.raises(FundsTransfer.DoesNotExist):
        row.refresh_from_db()
    assert row.state == "PLANNED"
    for each in (row, other):
        with pytest.raises(AttributeError):
            each.state = "CONFIRMED"


@pytest.mark.django_db(transaction=True, databases=["default", "desk"])
def test_nothing_is_assigned_while_another_thread_reads_rows_anew():
    """The library's own mixin lets it, for as long as a row is being read."""
    read, kept = transfer(), transfer(asset="BTC")
    done = threading.Event()

    def read_anew() -> int:
        for _ in range(200):
            read.refresh_from_db()
        done.set()
        return 0

    def assign() -> int:
        assigned = 0
        while not done.is_set():
            try:
                kept.state = "CONFIRMED"
                assigned += 1
            except AttributeError:
                pass
        return assigned

    assert at_once(read_anew, assign) == [0, 0]
    assert kept.state == "PLANNED"


def test_a_locked_row_is_moved_stored_and_noted():
    row = transfer()
    with state_history.moving(row, at=NOW, by="ann", why="now"):
        row.submit(at=NOW)
    stored = FundsTransfer.objects.get(pk=row.pk)
    assert (stored.state, stored.version, stored.attempts, stored.submitted_at) == ("SUBMITTED", 1, 1, NOW)
    step = StateChange.objects.get(subject="funds_transfer", subject_id=row.pk)
    assert (step.from_state, step.to_state, step.by, step.why) == ("PLANNED", "SUBMITTED", "ann", "now")


def test_a_row_that_has_moved_since_it_was_read_is_left_alone():
    row = transfer()
    stale = FundsTransfer.objects.get(pk=row.pk)
    with state_history.moving(row, at=NOW, by="ann"):
        row.submit(at=NOW)
    with (
        pytest.raises(MovedMeanwhile),
        transaction.atomic(using="desk"),
        state_history.moving(stale, at=NOW, by="bob"),
    ):
        raise AssertionError("not reached")
    assert StateChange.objects.filter(subject="funds_transfer", subject_id=row.pk).count() == 1


def test_what_is_written_is_only_what_the_step_changed():
    row = transfer()
    FundsTransfer.objects.filter(pk=row.pk).update(misses=7)  # by a sweep, which moves nothing
    with state_history.moving(row, at=NOW, by="ann"):
        row.submit(at=NOW)
    assert FundsTransfer.objects.get(pk=row.pk).misses == 7


def test_a_block_that_moves_nothing_is_an_error():
    with (
        pytest.raises(RuntimeError, match="was not moved"),
        state_history.moving(transfer(), at=NOW, by="ann"),
    ):
        pass


def test_the_person_who_asked_does_not_apply_it():
    made = entry()
    with pytest.raises(TransitionNotAllowed):
        made.apply()
    made.sign(ANN, "mine", at=NOW)
    with pytest.raises(TransitionNotAllowed):
        made.apply()
    made.sign(BOB, "seen", at=NOW)
    made.apply()
    assert made.state == "APPLIED"


@pytest.mark.parametrize(("kind", "alone"), [("retry", True), ("take_over", True), ("book_by_hand", False)])
def test_an_intervention_is_applied_by_as_many_as_it_needs(kind, alone):
    made = Intervention(kind=kind, requested_by_id=ANN.id, requested_by="ann", requested_at=NOW)
    made.sign(ANN, "", at=NOW)
    if alone:
        made.apply()
    else:
        with pytest.raises(TransitionNotAllowed):
            made.apply()


def test_what_was_never_sent_is_not_given_back_to_be_asked_for():
    row = Conversion(state="MANUAL")
    with pytest.raises(TransitionNotAllowed):
        row.hand_back()
    row.submitted_at = NOW - timedelta(minutes=1)
    row.hand_back()
    assert row.state == "UNKNOWN"


def test_permissions_stand_on_the_transitions():
    users = {
        name: staff(name, role=name).get("/admin/").wsgi_request.user for name in ("operator", "approver")
    }
    switch, stopped = TradingSwitch(), TradingSwitch(state="ALL_STOPPED")
    assert {name: may(user, switch, TradingSwitch.stop_all) for name, user in users.items()} == {
        "operator": True,
        "approver": False,
    }
    assert {name: may(user, stopped, TradingSwitch.resume) for name, user in users.items()} == {
        "operator": False,
        "approver": True,
    }
    assert may(users["operator"], Option(), Option.halt)
    asked = Intervention(requested_by_id=users["operator"].pk)
    assert not may(users["operator"], asked, Intervention.apply)
    assert may(users["operator"], asked, Intervention.reject)  # withdraws it
    assert may(users["approver"], asked, Intervention.apply)


@pytest.mark.parametrize(
    "model", [FundsTransfer, Conversion, Intervention, ReconciliationBreak, IndexEntry, Option]
)
def test_every_state_is_protected(model):
    assert all(field.protected for field in state_fields(model))

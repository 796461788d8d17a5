"""One person asks, another approves: a request is for what was seen, is decided once, and stays as it was made."""

import time
from threading import Thread

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.utils import timezone

from infra.db.decisions import Person
from settlement.interventions import deciding
from settlement.interventions.terms import Refused
from settlement.models import (
    Conversion,
    Intervention,
    StateChange,
)
from tests.support.desk_bench import (
    states,
)
from tests.support.intervening import approve, ask, stuck
from tests.support.people import ANN, BOB, EVE
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def test_a_request_is_void_once_its_row_has_moved(desk):
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")
    Conversion.objects.filter(pk=made.pk).update(version=made.version + 1)
    with pytest.raises(Refused, match="void"):
        approve(desk, waiting)
    waiting.refresh_from_db()
    assert (waiting.state, states()) == ("VOID", ["MANUAL"])
    approve(desk, ask(desk, made, "release"))
    assert states() == ["RELEASED"]


def test_what_was_seen_in_another_state_is_not_requested(desk):
    made = stuck(desk, "request_lost")
    with pytest.raises(Refused, match="moved"):
        ask(desk, made, "release", seen=("MANUAL", made.version - 1))
    with pytest.raises(Refused, match="is for UNKNOWN"):
        ask(desk, made, "take_over")


def test_the_person_who_asked_cannot_approve_and_the_database_says_so_too(desk):
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")
    with pytest.raises(Refused, match="another person"):
        approve(desk, waiting, by=ANN)
    with pytest.raises(IntegrityError, match="maker_is_not_checker"), transaction.atomic(using="desk"):
        Intervention.objects.filter(pk=waiting.pk).update(
            state="APPLIED", decided_by_id=ANN.id, decided_by="ann", decided_at=timezone.now()
        )
    assert states() == ["MANUAL"]


CHANGES = (
    "UPDATE settlement_intervention SET terms = '{\"venue_order_id\": 1}'",
    "UPDATE settlement_intervention SET subject_version = 0, state = 'VOID', decided_by_id = 9, decided_by = 'x',"
    " decided_at = now()",
    "UPDATE settlement_intervention SET requested_by_id = 9",
    "DELETE FROM settlement_intervention",
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_asked_for_stays(desk, change):
    made = stuck(desk, "request_lost")
    ask(desk, made, "release")
    with pytest.raises(DatabaseError, match="keeps what was asked"), connections["desk"].cursor() as cursor:
        cursor.execute(change)


def test_of_two_who_approve_at_once_one_does_it(desk):
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")

    def try_to(by: Person) -> str:
        try:
            return approve(desk, waiting, by=by).state
        except Refused as refusal:
            return str(refusal)

    outcomes = at_once([lambda: try_to(BOB), lambda: try_to(EVE)])
    assert sum(outcome == "APPLIED" for outcome in outcomes) == 1
    assert sum("was decided by" in outcome for outcome in outcomes) == 1
    assert StateChange.objects.filter(to_state="RELEASED").count() == 1
    assert states() == ["RELEASED"]


def test_an_approver_waits_for_the_row_without_holding_the_request(desk):
    """Asking voids a waiting request while it holds its row: the other way round the two wait in a circle."""
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")
    with transaction.atomic(using="desk"):
        Conversion.objects.select_for_update().get(pk=made.pk)
        approving = Thread(target=lambda: (approve(desk, waiting), connections.close_all()))
        approving.start()
        until_somebody_waits_for_a_lock()
        Intervention.objects.select_for_update(nowait=True).get(pk=waiting.pk)
    approving.join()
    assert states() == ["RELEASED"]


def until_somebody_waits_for_a_lock() -> None:
    for _ in range(500):
        with connections["desk"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def test_one_request_waits_for_a_row_and_can_be_rejected_or_withdrawn(desk):
    made = stuck(desk, "request_lost")
    first = ask(desk, made, "release")
    with pytest.raises(Refused, match="waits for its decision"):
        ask(desk, made, "write_off", by=EVE)
    no = deciding.reject(intervention_id=first.pk, by=BOB, note="wait for the venue", now=timezone.now())
    assert (no.state, no.decision) == ("REJECTED", "wait for the venue")
    with pytest.raises(Refused, match="REJECTED"):
        approve(desk, first)
    second = ask(desk, made, "write_off", by=EVE)
    assert (
        deciding.reject(intervention_id=second.pk, by=EVE, note="my mistake", now=timezone.now()).state
        == "VOID"
    )
    assert states() == ["MANUAL"]


@pytest.mark.parametrize(("reason", "evidence"), [(" ", "seen"), ("why", " ")])
def test_a_reason_and_evidence_are_asked_for(desk, reason, evidence):
    made = stuck(desk, "request_lost")
    with pytest.raises(Refused, match="needed"):
        ask(desk, made, "release", reason=reason, evidence=evidence)

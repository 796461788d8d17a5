"""Many rows ended by one decision of two people: each checked by itself, done once, taken up again after a cut."""

from collections.abc import Iterator
from functools import partial

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from acceptance import counter_client
from acceptance.models import AcceptedOrder, Conflict
from acceptance.pulling import pull_unsynced
from counter.models import SyncOrder
from settlement.book.legs import Legs
from settlement.conversions import balancing
from settlement.counter_link import reporting
from settlement.funds import treasury
from settlement.interventions import batches, deciding
from settlement.interventions.terms import Refused
from settlement.models import Batch, BatchRow, DeskTransfer, Intervention
from settlement.models.history import Subject
from tests.support.desk_bench import Desk, assert_books_agree, event, take_in
from tests.support.factories import make_customer, make_option, place_open
from tests.support.people import ANN, BOB
from tests.support.staff import staff
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
FORGED = 9_000_000


@pytest.fixture
def desk(two_systems, live_server, settings, venue, paper_venue, venue_account) -> Iterator[Desk]:
    """Counter serves the desk."""
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    made = Desk(venue, paper_venue, venue_account[0])
    treasury.open_books(venue=made.venue, now=timezone.now())
    yield made
    counter_client._session().close()
    counter_client._local.__dict__.clear()


@pytest.fixture
def forgotten(desk) -> list[AcceptedOrder]:
    """Orders of an hour that counter has lost: settled at the desk, and one that counter does have among them."""
    take_in(*(event(order_id=FORGED + number) for number in range(12)))
    place_open(make_customer(), make_option(), contracts=50)
    pull_unsynced(min_age_ms=0, now=timezone.now())
    balancing.book(desk.convert(), now=timezone.now())
    return list(AcceptedOrder.objects.order_by("id"))


def asked(kind: str = "disown", subject: Subject = Subject.ORDER, rows=None) -> Batch:
    return batches.request(
        operation=deciding.OPERATIONS[subject, kind],
        rows=AcceptedOrder.objects.order_by("id") if rows is None else rows,
        reason="an hour of counter is lost",
        evidence="the backup's log",
        by=ANN,
        now=timezone.now(),
    )


def approved(made: Batch) -> Batch:
    return batches.approve(batch_id=made.pk, by=BOB, note="seen", now=timezone.now())


def carry_out(desk: Desk, most: int = batches.CHUNK) -> int:
    return batches.carry_out(venue=desk.venue, clock=timezone.now, most=most)


def disowned_legs() -> int:
    return DeskTransfer.objects.filter(kind="disown").count()


def test_two_people_disown_all_that_counter_lost_and_what_it_has_is_refused(desk, forgotten):
    made = asked()
    assert carry_out(desk) == 0  # nobody has approved it
    with pytest.raises(Refused, match="another person"):
        batches.approve(batch_id=made.pk, by=ANN, note="", now=timezone.now())
    approved(made)
    with pytest.raises(Refused, match="decided by bob"):
        approved(made)
    while carry_out(desk, most=5) == 5:
        pass
    made.refresh_from_db()
    assert (made.state, made.size) == ("DONE", 13)
    assert AcceptedOrder.objects.filter(state="DISOWNED").count() == 12
    [refused] = BatchRow.objects.exclude(refusal="")
    assert refused.subject_id == AcceptedOrder.objects.get(order_id=SyncOrder.objects.get().id).pk
    assert "counter has an order under this id" in refused.refusal
    done = Intervention.objects.filter(kind="disown", state="APPLIED")
    assert set(done.values_list("requested_by", "decided_by")) == {("ann", "bob")}
    assert done.count() == 12
    assert disowned_legs() == 24
    reporting._aside.clear()
    reporting.report_settled(clock=timezone.now)
    assert_books_agree(desk)


def test_a_batch_that_is_cut_off_in_a_row_goes_on_and_does_that_row_once(desk, forgotten, monkeypatch):
    approved(asked())
    post, posted = Legs.post, []

    def cut_off(legs: Legs) -> None:
        post(legs)
        posted.append(legs)
        if len(posted) == 3:
            raise SystemExit  # the worker is stopped in the middle of a transaction

    with monkeypatch.context() as patched:
        patched.setattr(Legs, "post", cut_off)
        with pytest.raises(SystemExit):
            carry_out(desk)
    assert (BatchRow.objects.filter(ended_at__isnull=False).count(), disowned_legs()) == (2, 4)
    assert batches.is_running()
    carry_out(desk)
    assert (Batch.objects.get().state, disowned_legs()) == ("DONE", 24)


def test_two_that_carry_it_out_at_once_do_nothing_twice(desk, forgotten):
    approved(asked())
    at_once(partial(carry_out, desk) for _ in range(4))
    carry_out(desk)
    assert (Batch.objects.get().state, disowned_legs()) == ("DONE", 24)
    assert Intervention.objects.filter(kind="disown").count() == 12


def test_a_counter_that_is_away_keeps_the_batch_waiting(desk, forgotten, settings):
    approved(asked())
    there, settings.COUNTER_URL = settings.COUNTER_URL, "http://127.0.0.1:9"
    counter_client._local.__dict__.clear()
    assert carry_out(desk) == 0
    assert not BatchRow.objects.filter(ended_at__isnull=False).exists()
    settings.COUNTER_URL = there
    counter_client._local.__dict__.clear()
    carry_out(desk)
    assert Batch.objects.get().state == "DONE"


def test_a_row_that_moved_since_it_was_listed_is_refused(desk, forgotten):
    made = asked(rows=[forgotten[0], forgotten[1]])
    AcceptedOrder.objects.filter(pk=forgotten[0].pk).update(state="REPORTED", reported_at=timezone.now())
    approved(made)
    carry_out(desk)
    assert list(BatchRow.objects.order_by("id").values_list("refusal", flat=True)) == [deciding.MOVED, ""]


def test_what_is_listed_is_bounded_and_kept(desk, forgotten, monkeypatch):
    monkeypatch.setattr(batches, "MAX_ROWS", 5)
    with pytest.raises(Refused, match="at most 5"):
        asked()
    with pytest.raises(Refused, match="at least one"):
        asked(rows=[])
    made = asked(rows=forgotten[:5])
    for change in (
        partial(Batch.objects.filter(pk=made.pk).update, reason="another"),
        partial(BatchRow.objects.filter(batch=made).update, subject_id=7),
        partial(BatchRow.objects.filter(batch=made).delete),
    ):
        with pytest.raises(DatabaseError, match="keeps what was"), transaction.atomic(using="desk"):
            change()
    own = {"state": "RUNNING", "decided_by": "ann", "decided_by_id": ANN.id, "decided_at": timezone.now()}
    with pytest.raises(IntegrityError, match="maker_is_not_checker"), transaction.atomic(using="desk"):
        Batch.objects.filter(pk=made.pk).update(**own)


def test_conflicts_are_ended_by_the_list_and_a_second_person(desk, forgotten, settings):
    take_in(*(event(order_id=FORGED + number, coin="0.7") for number in range(12)))
    assert Conflict.objects.filter(resolved_at__isnull=True).count() == 12
    operator, approver = staff("olga", role="operator"), staff("anton", role="approver")
    conflicts = reverse("admin:acceptance_conflict_changelist")
    body = {
        "action": "batch_keep_ours",
        "_selected_action": list(Conflict.objects.values_list("pk", flat=True)[:2]),
        "select_across": "1",
        "reason": "copies of a test",
        "evidence": "its log",
    }
    of_reason = f"{conflicts}?reason__exact=other_content"
    assert "A reason and evidence are needed" in (
        operator.post(of_reason, body | {"reason": ""}, follow=True).content.decode()
    )
    viewer = staff("vera", role="viewer")
    viewer.post(of_reason, body)
    assert not Batch.objects.exists()
    page = operator.post(of_reason, body, follow=True)
    assert "12 rows, waits for another person" in page.content.decode()
    made = Batch.objects.get()
    decide = reverse("admin:settlement_batch_decide", args=[made.pk])
    assert operator.post(decide, {"decision": "approve"}).status_code == 403
    assert "copies of a test" in approver.get(page.redirect_chain[-1][0]).content.decode()
    assert "It is running" in approver.post(decide, {"decision": "approve"}, follow=True).content.decode()
    carry_out(desk)
    assert not Conflict.objects.filter(resolved_at__isnull=True).exists()
    assert "12 done, 0 refused, 0 to come" in approver.get(page.redirect_chain[-1][0]).content.decode()
    assert approver.get(f"{reverse('admin:settlement_batchrow_changelist')}?q={made.pk}").status_code == 200

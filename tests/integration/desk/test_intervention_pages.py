"""The admin's pages: two people mend a stuck conversion by them, and nobody without the permission moves anything."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from acceptance.models import Conflict
from counter.models import StreamProcess
from infra.db.decisions import Person
from settlement.funds import treasury
from settlement.intervention_pages import deciding_page, operating, timed_venue
from settlement.interventions import deciding
from settlement.interventions.operations import SUBJECTS, state_of
from settlement.interventions.terms import Terms
from settlement.models import Conversion, FundsTransfer, Intervention
from settlement.venues import halts
from tests.support.desk_bench import POST, Desk, event, take_in
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(databases=["default", "desk"])
# On any page they are sent to, these make it do something if it can.
CRAFTED = {
    "step": "confirm",
    "decision": "approve",
    "note": "crafted",
    "post": "yes",
    "_save": "Save",
    "index": "0",
    "reason": "crafted",
    "evidence": "crafted",
    "seen_state": "MANUAL",
    "venue_transfer_id": "1",
}


@pytest.fixture
def desk(
    db: None, broker_url: str, venue: Any, paper_venue: Any, venue_account: Any, monkeypatch: Any
) -> Desk:
    """A desk whose rows are undone with the test's transaction, and whose venue is the pages'."""
    made = Desk(venue, paper_venue, venue_account[0])
    made.venue = venue
    venue.submissions = []
    treasury.open_books(venue=venue, now=timezone.now())
    for module in (operating, deciding_page, timed_venue):
        monkeypatch.setattr(module, "venue", lambda: venue)
    monkeypatch.setattr("settlement.venues.error_table.MISSED_AFTER_SECONDS", 0.0)
    return made


def stuck(desk: Desk, fault: str = "reply_lost") -> Conversion:
    desk.paper.add_fault(fault, **POST)
    take_in(event())
    made = desk.convert()
    decided(desk, made, "take_over")
    made.refresh_from_db()
    assert made.state == "MANUAL"
    return made


def decided(desk: Desk, row: Any, kind: str) -> Intervention:
    subject = next(subject for subject, model in SUBJECTS.items() if model is type(row))
    return deciding.request(
        operation=deciding.OPERATIONS[subject, kind],
        row_id=row.pk,
        seen=state_of(row),
        terms=Terms(),
        reason="why",
        evidence="ticket",
        by=Person(10**9, "somebody else"),
        venue=desk.venue,
        now=timezone.now(),
    )


def operate(row: Any, kind: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_operate", args=[row.pk, kind])


def filled_in(page: Any, **changes: Any) -> dict[str, Any]:
    """What a browser would send of the page's form, with `changes`."""
    shown, data = page.context["page"], {}
    forms = [shown.form, *([*shown.trades, shown.trades.management_form] if shown.trades is not None else [])]
    for form in forms:
        for name in form.fields:
            value = form[name].value()
            data[form[name].html_name] = "" if value is None else value
    return {**data, "shown": shown.shown, **changes}


def test_two_people_mend_a_stuck_conversion_without_a_shell(desk):
    made = stuck(desk)
    ann, bob = staff("ann", role="operator"), staff("bob", role="approver")
    page = ann.get(reverse("admin:settlement_conversion_change", args=[made.pk]))
    assert operate(made, "book_by_hand") in page.content.decode()
    for url in page.context["leads"].values():
        assert ann.get(url, follow=True).status_code == 200
    assert len(ann.get(page.context["leads"]["its states"]).context["cl"].result_list) == 4

    page = ann.get(operate(made, "book_by_hand"))
    page = ann.post(operate(made, "book_by_hand"), filled_in(page, step="read"))
    why = {"reason": "the venue lost its answer", "evidence": "the venue's own trades"}
    page = ann.post(operate(made, "book_by_hand"), filled_in(page, step="preview", **why))
    assert "The venue is being asked" in page.content.decode()
    word = ann.post(operate(made, "book_by_hand"), filled_in(page, step="word", **why))
    assert "The venue shows the same trades" in word.content.decode()
    assert word["Server-Timing"].startswith("venue;dur=")
    assert {leg.kind for leg in page.context["page"].effects.legs} >= {"fill", "open", "fee"}
    page = ann.post(operate(made, "book_by_hand"), filled_in(page, step="confirm", **why), follow=True)
    waiting = Intervention.objects.get(state="REQUESTED")
    assert (waiting.requested_by, page.redirect_chain[-1][0]) == ("ann", change(waiting))

    assert "Withdraw" in page.content.decode()
    assert "Approve" not in page.content.decode()
    page = bob.get(change(waiting))
    assert {leg.kind for leg in page.context["effects"].legs} >= {"fill", "open", "fee"}
    page = bob.post(decide(waiting), {"decision": "approve", "note": "I see the same"}, follow=True)
    made.refresh_from_db()
    waiting.refresh_from_db()
    assert (made.state, waiting.state, waiting.decided_by) == ("BOOKED", "APPLIED", "bob")


def change(made: Intervention) -> str:
    return reverse("admin:settlement_intervention_change", args=[made.pk])


def decide(made: Intervention) -> str:
    return reverse("admin:settlement_intervention_decide", args=[made.pk])


def test_only_what_was_shown_is_done(desk):
    made = stuck(desk, "request_lost")
    ann = staff("ann", role="operator")
    url = operate(made, "retry")
    unseen = ann.post(url, filled_in(ann.get(url), step="confirm", reason="why"))
    assert (unseen.status_code, unseen.context["page"].effects is not None) == (200, True)
    made.refresh_from_db()
    assert made.state == "MANUAL"

    Conversion.objects.filter(pk=made.pk).update(version=made.version + 1)
    moved = ann.post(url, filled_in(unseen, step="confirm", reason="why"))
    assert "has moved" in " ".join(moved.context["page"].problems)
    shown = ann.post(url, filled_in(ann.get(url), step="preview", reason="why"))
    assert ann.post(url, filled_in(shown, step="confirm", reason="why")).status_code == 302
    made.refresh_from_db()
    assert made.state == "UNKNOWN"


def test_another_trade_can_be_filled_in_and_slips_are_said(desk):
    made = stuck(desk, "request_lost")
    ann = staff("ann", role="operator")
    url = operate(made, "book_by_hand")
    page = ann.post(url, filled_in(ann.get(url), step="add", venue_order_id="7"))
    assert len(page.context["page"].trades) == 2
    numbers = {"venue_trade_id": "1", "price": "90000", "coin": "5", "fee": "0", "fee_asset": "usdt"}
    first = {f"trades-0-{name}": value for name, value in numbers.items()}
    data = filled_in(
        ann.get(url), step="preview", venue_order_id="7", reason="why", evidence="ticket", **first
    )
    page = ann.post(url, data | {"trades-0-traded_at": f"{timezone.now():%Y-%m-%d %H:%M:%S}"})
    assert "more than" in " ".join(page.context["page"].problems)
    assert "traded_at" in str(ann.post(url, data).context["page"].trades.errors)


def test_what_is_out_of_sight_is_asked_for_from_its_page(desk):
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    made = desk.convert()
    Conversion.objects.filter(pk=made.pk).update(due_at=timezone.now() + timedelta(hours=1))
    url = reverse("admin:settlement_conversion_change", args=[made.pk])
    assert "ask_venue_again" not in staff("eve", role="viewer").get(url).content.decode()
    page = (ann := staff("ann", role="operator")).get(url)
    assert "ask_venue_again" in page.content.decode()
    ann.post(
        page.context["ask_again"], {"action": "ask_venue_again", "_selected_action": [made.pk], "index": 0}
    )
    made.refresh_from_db()
    assert made.due_at <= timezone.now()


def test_a_reader_sees_what_could_be_done_and_cannot_do_it(desk):
    made = stuck(desk, "request_lost")
    eve = staff("eve", role="viewer")
    page = eve.get(reverse("admin:settlement_conversion_change", args=[made.pk]))
    assert "You do not have the permission" in page.content.decode()
    assert operate(made, "release") not in page.content.decode()


def test_an_operator_does_not_decide_and_no_maker_approves_their_own_request(desk):
    made = stuck(desk, "request_lost")
    waiting = decided(desk, made, "release")
    assert staff("ann", role="operator").post(decide(waiting), CRAFTED).status_code == 403
    root = staff("root", superuser=True)
    deciding.reject(intervention_id=waiting.pk, by=Person(2, "bob"), note="no", now=timezone.now())
    url = operate(made, "release")
    shown = root.post(url, filled_in(root.get(url), step="preview", reason="why", evidence="ticket"))
    root.post(url, filled_in(shown, step="confirm", reason="why", evidence="ticket"))
    own = Intervention.objects.get(state="REQUESTED")
    answer = root.post(decide(own), {"decision": "approve"}, follow=True)
    assert "another person" in str(next(iter(answer.context["messages"])))
    own.refresh_from_db()
    assert own.state == "REQUESTED"
    assert root.get(decide(own)).status_code == 405


def test_every_operation_asks_for_its_own_permission(desk):
    for operation in deciding.OPERATIONS.values():
        own = operation.permission.removeprefix("settlement.")
        assert Permission.objects.filter(codename=own).count() == 1
    everything = [
        codename
        for codename in Permission.objects.values_list("codename", flat=True)
        if codename != "release_conversion"
    ]
    ann = staff("ann", *everything)
    url = operate(stuck(desk, "request_lost"), "release")
    assert (ann.get(url).status_code, ann.post(url, CRAFTED).status_code) == (403, 403)
    User.objects.get(username="ann").user_permissions.add(
        Permission.objects.get(codename="release_conversion")
    )
    assert ann.get(url).status_code == 200


@pytest.mark.parametrize(
    ("row_state", "kind"), [("BOOKED", "release"), ("BOOKED", "take_over"), ("MANUAL", "take_over")]
)
def test_what_the_state_does_not_allow_is_refused(desk, row_state, kind):
    made = desk.settle(event()) if row_state == "BOOKED" else stuck(desk, "request_lost")
    root = staff("root", superuser=True)
    url = operate(made, kind)
    page = root.post(url, filled_in(root.get(url), step="preview", reason="why", evidence="ticket"))
    assert "it is " + row_state in " ".join(page.context["page"].problems)
    assert root.get(operate(made, "keep_ours")).status_code == 404


def everything() -> dict[str, str]:
    """A checksum of every table of both databases, but of sessions and running stream programs."""
    sums = {}
    for model in apps.get_models(include_auto_created=True):
        if model in (Session, StreamProcess) or not model._meta.managed:
            continue
        alias = "desk" if model._meta.app_label in ("acceptance", "settlement") else "default"
        with connections[alias].cursor() as cursor:
            cursor.execute(f'SELECT t::text FROM "{model._meta.db_table}" AS t ORDER BY 1')
            rows = "\n".join(row[0] for row in cursor.fetchall())
        sums[model._meta.label] = hashlib.sha256(rows.encode()).hexdigest()
    return sums


def every_post(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    """A crafted request for everything that the admin has an address for."""
    requests: list[tuple[str, dict[str, Any]]] = []
    for model, shown in admin.site._registry.items():
        row = model._default_manager.order_by("-pk").first()
        key = 1 if row is None else row.pk
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        actions = ["delete_selected", *(action for _, action, _ in shown._get_base_actions())]  # type: ignore[attr-defined]
        chosen = [{"action": action, "_selected_action": [key]} for action in actions]
        requests += [(reverse(f"{name}_changelist"), CRAFTED | choice) for choice in chosen]
        for pattern in shown.get_urls():
            for keyword in _keywords(pattern, key):
                requests.append((reverse(f"admin:{pattern.name}", kwargs=keyword), CRAFTED))
    return requests


def _keywords(pattern: Any, key: Any) -> list[dict[str, Any]]:
    """Arguments for an address: the row, and each operation there is."""
    if not pattern.name:
        return []
    names = list(pattern.pattern.converters)
    if "kind" in names:
        return [{"row_id": key, "kind": kind} for kind in Intervention.Kind.values]
    return [dict.fromkeys(names, key)]


@pytest.mark.usefixtures("sessions_remembered")
@pytest.mark.parametrize("role", [None, "viewer"])
def test_no_crafted_post_of_staff_without_the_permission_changes_anything(desk, role):
    made = stuck(desk, "request_lost")
    decided(desk, made, "release")
    order = event()
    desk.settle(order)
    take_in(event(order_id=order.order_id, coin="7"))
    desk.paper.add_fault("request_lost", path="/sapi/v1/asset/transfer$", method="POST", count=1)
    direction = FundsTransfer.Direction.TO_RESERVE
    treasury.start(asset="BTC", amount=1, direction=direction, venue=desk.venue, now=timezone.now())
    halts.begin(venue="binance", reason="the key was refused", now=timezone.now())
    assert Conflict.objects.filter(resolved_at__isnull=True).exists()
    eve: Client = staff("eve", role=role)
    requests = every_post(desk)
    before = everything()
    answers = {url: eve.post(url, data).status_code for url, data in requests}

    assert everything() == before
    operations = [url for url in answers if "/operate/" in url or url.endswith("/decide/")]
    assert len(operations) >= 3 * len(Intervention.Kind) + 1
    assert {answers[url] for url in operations} <= {403, 404}
    assert set(answers.values()) <= {200, 302, 403, 404, 405}


def test_the_same_posts_of_somebody_who_may_do_change_something(desk):
    """So that the test above could fail."""
    made = stuck(desk, "request_lost")
    waiting = decided(desk, made, "release")
    before = everything()
    staff("root", superuser=True).post(decide(waiting), CRAFTED)
    changed = {label for label, checksum in everything().items() if before[label] != checksum}
    assert changed >= {"settlement.Conversion", "settlement.Intervention", "settlement.StateChange"}

"""Staff see breaks with age and owner, make owners and ask for runs if they may, and can close nothing."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from settlement.intervention_pages import reconciliation_admin
from settlement.models import ReconciliationBreak
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(databases=["default", "desk"])
LIST = "admin:settlement_reconciliationbreak_changelist"


@pytest.fixture
def row():
    then = timezone.now() - timedelta(hours=3)
    return ReconciliationBreak.objects.create(
        what="trade belongs to no conversion",
        where="venue trade 77 BTC/USDT",
        detail="buy",
        venue_trade_id="77",
        order_id=4711,
        since=then,
        found_at=then,
        seen_at=then,
    )


@pytest.fixture
def sent(monkeypatch):
    steps = []
    monkeypatch.setattr(reconciliation_admin.dispatcher, "send", steps.append)
    return steps


def make_owner(client, row, owner=""):
    return client.post(
        reverse(LIST), {"action": "make_owner", "_selected_action": [row.pk], "owner": owner}, follow=True
    )


def test_break_is_listed_with_its_age_and_found_by_its_trace(row):
    client = staff("ann", role="viewer")
    for term in ("77", "4711", ""):
        shown = client.get(reverse(LIST), {"q": term})
        assert [each.pk for each in shown.context["cl"].result_list] == [row.pk], term
    assert "3\xa0hours" in shown.content.decode()
    for age, rows in (("over-3600", 1), ("within-3600", 0), ("over-86400", 0), ("within-86400", 1)):
        shown = client.get(reverse(LIST), {"age_since": age})
        assert len(shown.context["cl"].result_list) == rows, age


def test_an_operator_makes_any_member_of_staff_the_owner(row):
    ann, _ = staff("ann", role="operator"), staff("bob", role="viewer")
    make_owner(ann, row)
    row.refresh_from_db()
    assert row.owner == "ann"
    make_owner(ann, row, owner="bob")
    row.refresh_from_db()
    assert row.owner == "bob"
    make_owner(ann, row, owner="nobody")
    row.refresh_from_db()
    assert row.owner == "bob"


def test_crafted_post_without_the_permission_changes_nothing(row, sent):
    client = staff("eve", role="viewer")
    make_owner(client, row)
    assert client.post(reverse("admin:settlement_reconciliation_now")).status_code == 403
    change = reverse("admin:settlement_reconciliationbreak_change", args=[row.pk])
    assert client.post(change, {"state": "CLOSED"}).status_code == 403
    row.refresh_from_db()
    assert (row.owner, row.state, sent) == ("", "OPEN", [])


def test_nobody_can_close_a_break_by_hand(row):
    client = staff("root", superuser=True)
    change = reverse("admin:settlement_reconciliationbreak_change", args=[row.pk])
    assert client.post(change, {"state": "CLOSED"}).status_code == 403
    shown = client.get(change)
    assert [each["operation"].kind for each in shown.context["operations"]] == [
        "retry",
        "write_off",
        "book_capital",
        "book_cash",
        "accept",
    ]
    row.refresh_from_db()
    assert row.state == "OPEN"


def test_run_is_asked_for_by_a_post_with_the_permission(row, sent):
    client, now = staff("ann", role="operator"), reverse("admin:settlement_reconciliation_now")
    assert client.get(now).status_code == 405
    assert client.post(now).status_code == 302
    assert sent == [[("settlement.reconcile", ["ann"])]]
    assert "Reconcile now" in client.get(reverse(LIST)).content.decode()

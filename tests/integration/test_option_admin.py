"""Staff halt a series and settle a gap by the admin's pages, each with the role for it, and nobody without."""

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from counter.expiring import expiry
from counter.models import Expiry, IndexEntry, Option, OptionChange, SettlementIndex
from counter.orders.placing import place_orders
from counter.orders.requests import OpenRequest, RejectCode, Rejected
from tests.support.expiring import AFTER, LATER, buy, expiring_option, position_of, record_index
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.staff import staff

pytestmark = pytest.mark.django_db
OPTIONS = "admin:counter_option_changelist"
ENTRY = {"price": "91000.5", "reason": "the feed was down", "evidence": "ticket 17"}


@pytest.fixture
def operator(db):
    return staff("olga", role="operator")


@pytest.fixture
def approver(db):
    return staff("anton", role="approver")


def pressed(client, action, option, why="odd prices"):
    body = {"action": action, "_selected_action": [option.pk], "why": why}
    return client.post(reverse(OPTIONS), body, follow=True)


def opens(customer, option):
    request = OpenRequest(
        customer_id=customer.pk, client_order_id=f"o-{timezone.now()}", symbol=option.symbol, contracts=1
    )
    return place_orders(requests=[request], now=timezone.now())[0]


def test_a_halted_series_takes_no_opens_but_closes_and_is_resumed_with_both_steps_kept(operator):
    option, customer = make_option(), make_customer()
    opening = place_open(customer, option)
    assert "1 of the selected series halted" in pressed(operator, "halt_series", option).content.decode()
    outcome = opens(customer, option)
    assert isinstance(outcome, Rejected)
    assert outcome.code is RejectCode.OPTION_HALTED
    place_close(opening)
    pressed(operator, "halt_series", option)
    pressed(operator, "resume_series", option, why="prices are well")
    assert not isinstance(opens(customer, option), Rejected)
    steps = OptionChange.objects.order_by("id").values_list("from_state", "to_state", "by", "why")
    assert list(steps) == [
        ("LISTED", "HALTED", "olga", "odd prices"),
        ("HALTED", "LISTED", "olga", "prices are well"),
    ]


def test_a_series_is_not_moved_without_a_reason_nor_by_who_may_not(operator, approver):
    option = make_option()
    assert "Say why" in pressed(operator, "halt_series", option, why=" ").content.decode()
    pressed(approver, "halt_series", option)
    pressed(staff("nobody"), "halt_series", option)
    assert Option.objects.get(pk=option.pk).state == "LISTED"


def test_an_option_that_has_expired_is_not_halted_nor_listed_again(operator):
    option = make_option()
    Option.objects.filter(pk=option.pk).update(expires_at=timezone.now())
    pressed(operator, "halt_series", option)
    assert Option.objects.get(pk=option.pk).state == "LISTED"


@pytest.fixture
def opening(db):
    opening = buy(make_customer(), expiring_option())
    record_index(left_out=range(10))
    expiry.expire_due(now=AFTER)
    return opening


def enter(client, **changes):
    address = reverse("admin:counter_expiry_enter", args=[Expiry.objects.get().pk])
    return client.post(address, ENTRY | changes)


def decide(client, entry, decision, note="seen"):
    address = reverse("admin:counter_indexentry_decide", args=[entry.pk])
    return client.post(address, {"decision": decision, "note": note})


def shown(client, row):
    return client.get(reverse(f"admin:counter_{row._meta.model_name}_change", args=[row.pk])).content.decode()


def test_one_enters_the_index_another_approves_it_and_positions_end(opening, operator, approver):
    found = Expiry.objects.get()
    assert "Enter the index" in shown(operator, found)
    assert "You do not have the permission" in shown(approver, found)
    page = operator.get(reverse("admin:counter_expiry_enter", args=[found.pk])).content.decode()
    assert "20 of the 30 minutes" in page
    assert "averages 90000.00000000 USDT" in page
    assert enter(operator).status_code == 302

    entry = IndexEntry.objects.get()
    assert "waits for another person" in shown(operator, found)
    assert "Withdraw" in shown(operator, entry)
    assert "ticket 17" in (page := shown(approver, entry))
    assert "Approve" in page
    assert decide(operator, entry, "approve").status_code == 403
    assert decide(approver, entry, "approve").status_code == 302
    assert SettlementIndex.objects.get().price == Decimal("91000.5")
    assert expiry.expire_due(now=LATER) == 1
    # 10,000.5 USD on 0.01 BTC, whose coin is rounded down to 8 decimals.
    assert position_of(opening).proceeds == Decimal("100.004999")
    assert "Applied" in shown(approver, IndexEntry.objects.get())


def test_what_is_refused_is_said_on_the_page(opening, operator, approver):
    assert "positive price" in enter(operator, price="0").content.decode()
    assert "This field is required" in enter(operator, evidence="").content.decode()
    assert not IndexEntry.objects.exists()
    enter(operator)
    assert "Another entry waits" in enter(operator).content.decode()
    boss = staff("boss", superuser=True)
    entry = IndexEntry.objects.get()
    decide(boss, entry, "reject", note="")
    assert IndexEntry.objects.get().state == "REQUESTED"
    decide(operator, entry, "reject", note="a typo")
    assert IndexEntry.objects.get().state == "REJECTED"


def test_nobody_enters_or_approves_without_the_permission(opening, operator, approver):
    assert enter(approver).status_code == 403
    enter(operator)
    entry = IndexEntry.objects.get()
    for client in (staff("nobody"), staff("viewer", role="viewer")):
        assert enter(client).status_code == 403
        assert decide(client, entry, "approve").status_code == 403
        assert decide(client, entry, "reject").status_code == 403
    superuser = staff("root", superuser=True)
    decide(superuser, entry, "reject", note="no")
    enter(superuser)
    own = IndexEntry.objects.get(state="REQUESTED")
    decide(superuser, own, "approve")
    assert IndexEntry.objects.get(pk=own.pk).state == "REQUESTED"

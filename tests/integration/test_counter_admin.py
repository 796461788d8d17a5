"""Staff look at counter's tables, find what they search, and can change nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from counter.expiring import expiry
from counter.models import (
    Account,
    ApiKey,
    Customer,
    FirmQuote,
    Option,
    Position,
    Quote,
    SyncOrder,
    Transfer,
    WebhookEndpoint,
    Withdrawal,
)
from counter.money.withdrawals import reserve
from counter.orders.exercise_names import exercise_name, shown_name
from counter.public_ids import Kind, public_id
from tests.support.expiring import AFTER, buy, exercises, expiring_option, record_index
from tests.support.factories import make_customer, make_option, place_open

MODELS = [Customer, Account, Option, Quote, Position, SyncOrder, Transfer]


@pytest.fixture
def staff(db):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


@pytest.fixture
def order(db):
    return place_open(make_customer(), make_option())


def listed(client, model, query=""):
    response = client.get(reverse(f"admin:counter_{model._meta.model_name}_changelist"), {"q": query})
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows_can_be_read_and_nothing_changed(staff, order, model):
    row = model.objects.order_by("-pk").first()
    assert row.pk in listed(staff, model)
    change = reverse(f"admin:counter_{model._meta.model_name}_change", args=[row.pk])
    assert staff.get(change).status_code == 200
    assert staff.post(change, {}).status_code == 403
    assert staff.get(reverse(f"admin:counter_{model._meta.model_name}_add")).status_code == 403
    delete = reverse(f"admin:counter_{model._meta.model_name}_delete", args=[row.pk])
    assert staff.post(delete, {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS)
def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    staff, order, model, django_assert_max_num_queries
):
    for _ in range(10):
        place_open(make_customer(), make_option())
    with django_assert_max_num_queries(7):
        listed(staff, model)


def test_search_finds_by_number_and_by_customer(staff, order):
    other = place_open(make_customer(), make_option())
    reference = Customer.objects.get(pk=order.customer_id).reference
    for model in (SyncOrder, Position):
        assert listed(staff, model, str(order.id)) == {order.id}
        assert listed(staff, model, reference) == {order.id}
        assert listed(staff, model, "nobody") == set()
        assert listed(staff, model, "9" * 30) == set()
    of_order = set(Transfer.objects.filter(order_id=order.id).values_list("pk", flat=True))
    assert listed(staff, Transfer, str(order.id)) == of_order
    assert listed(staff, Transfer, reference) > of_order
    assert not listed(staff, Transfer, reference) & listed(staff, Transfer, str(other.id))
    assert listed(staff, Customer, reference[:-1]) >= {order.customer_id}


def test_every_model_of_counter_that_is_registered_is_read_only(rf):
    for model, shown in admin.site._registry.items():
        # Staff make customers' API keys and the exchange's webhook endpoints; nobody changes or deletes a key.
        if model._meta.app_label == "counter" and model not in (ApiKey, WebhookEndpoint):
            assert not shown.has_add_permission(rf.get("/"))
            assert not shown.has_change_permission(rf.get("/"))
            assert not shown.has_delete_permission(rf.get("/"))


def test_order_is_found_by_its_client_order_id_whosever_it_is(staff, order):
    stored = SyncOrder.objects.get(pk=order.id)
    place_open(make_customer(), make_option())
    assert listed(staff, SyncOrder, stored.client_order_id) == {order.id}


def test_an_exercise_is_found_by_the_name_that_the_list_shows_and_by_its_customers(staff):
    customer = make_customer(balance="1000")
    openings = [buy(customer, expiring_option()) for _ in range(2)]
    record_index()
    expiry.expire_due(now=AFTER)
    row = exercises()[0]
    stored = exercise_name(openings[0].position_id)
    assert row.client_order_id == stored
    for name in (stored, shown_name(stored)):
        assert listed(staff, SyncOrder, name) == {row.pk}
        assert listed(staff, SyncOrder, f"{customer.reference} {name}") == {row.pk}


def test_age_filter_cuts_at_the_moment_though_ids_have_gaps(staff, order):
    ids = [order.id, *(place_open(make_customer(), make_option()).id for _ in range(4))]
    for minutes, order_id in zip((300, 200, 90, 30, 1), ids, strict=True):
        SyncOrder.objects.filter(pk=order_id).update(placed_at=timezone.now() - timedelta(minutes=minutes))
    SyncOrder.objects.filter(pk=ids[1]).delete()

    def shown(age):
        address = reverse("admin:counter_syncorder_changelist")
        rows = staff.get(address, {"age_placed_at": age}).context["cl"].result_list
        return {row.pk for row in rows}

    assert shown("within-3600") == set(ids[3:])
    assert shown("over-3600") == {ids[0], ids[2]}
    assert shown("within-300") == {ids[4]}
    assert shown("within-86400") == {ids[0], *ids[2:]}
    assert shown("over-86400") == set()
    assert shown("nonsense-1") == shown("within-x") == {ids[0], *ids[2:]}


def test_a_customers_ids_are_searched_and_read_out(staff, order):
    """What a customer has in hand leads to the row, and the row's page says what the customer has."""
    place_open(make_customer(), make_option())
    entry = Transfer.objects.filter(order_id=order.id).latest("pk")
    quote = FirmQuote.objects.create(
        **dict.fromkeys(("premium", "index_price", "coin", "fair", "spread", "amount"), 1),
        customer_id=order.customer_id,
        option_id=order.option_id,
        kind="OPEN",
        contracts=1,
        given_at=timezone.now(),
        expires_at=timezone.now(),
    )
    withdrawal, _ = reserve(
        customer_id=order.customer_id, amount=Decimal(1), reference="w-1", now=timezone.now()
    )
    rows = {
        SyncOrder: (Kind.ORDER, order.id),
        Position: (Kind.POSITION, order.id),
        Transfer: (Kind.LEDGER_ENTRY, entry.pk),
        FirmQuote: (Kind.FIRM_QUOTE, quote.pk),
        Withdrawal: (Kind.WITHDRAWAL, withdrawal.pk),
    }
    for model, (kind, row) in rows.items():
        told = public_id(kind, row)
        assert listed(staff, model, f" {told} ") == {row}
        page = staff.get(reverse(f"admin:counter_{model._meta.model_name}_change", args=[row]))
        assert told in page.content.decode()
        assert listed(staff, model, f"{told[:4]}{'0' * 32}") == set()
    of_order = set(Transfer.objects.filter(order_id=order.id).values_list("pk", flat=True))
    assert listed(staff, Transfer, public_id(Kind.ORDER, order.id)) == of_order
    assert listed(staff, SyncOrder, public_id(Kind.POSITION, order.id)) == set()


@pytest.mark.parametrize("model", [SyncOrder, Position, Transfer, FirmQuote, Withdrawal])
def test_a_public_id_of_another_kind_finds_nothing_and_scans_nothing(staff, order, model):
    searched = admin.site._registry[model].searched_ids
    for kind in set(Kind) - searched.keys():
        with CaptureQueriesContext(connection) as captured:
            assert listed(staff, model, public_id(kind, order.id)) == set()
        patterns = [each["sql"] for each in captured if "LIKE" in each["sql"]]
        assert patterns == [], kind

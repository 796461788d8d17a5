"""Staff look at the desk's tables, change nothing, and have the venue asked again if they may."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from acceptance.models import AcceptedOrder, Conflict, OrderStep, OrderStepsBegin
from infra.db.decisions import Person
from settlement.conversions import chasing
from settlement.funds import treasury
from settlement.interventions import deciding
from settlement.interventions.terms import Terms
from settlement.models import (
    Batch,
    BatchRow,
    ClearingPayment,
    Conversion,
    DeskTransfer,
    Execution,
    ExecutionsRead,
    Fill,
    Intervention,
    LateFee,
    ReconciliationBreak,
    ReconciliationRun,
    StateChange,
    VenueHalt,
    VenueStatement,
    VenueTrade,
)
from settlement.models.history import Subject
from settlement.venues import halts
from tests.support.brokers import task_queue
from tests.support.desk_bench import Desk, event, take_in

pytestmark = pytest.mark.django_db(databases=["default", "desk"])
# Steps have a key of two columns, which Django's admin takes none of: the order's timeline shows them, and says what is
# older than they are.
ON_THE_TIMELINE = {OrderStep, OrderStepsBegin}
DESK_MODELS = [
    model
    for app in ("acceptance", "settlement")
    for model in apps.get_app_config(app).get_models()
    if model not in ON_THE_TIMELINE
]


@pytest.fixture
def desk(
    db: None, broker_url: str, venue: Any, paper_venue: Any, venue_account: tuple[str, str, str]
) -> Desk:
    """A desk whose rows are undone with the test's transaction."""
    made = Desk(venue, paper_venue, venue_account[0])
    made.venue = venue
    venue.submissions = []
    treasury.open_books(venue=venue, now=timezone.now())
    return made


def user(*permissions: str, superuser: bool = False) -> Client:
    made = get_user_model().objects.create_user("staff", is_staff=True, is_superuser=superuser)
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(made)
    return client


def page(model: Any, name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def listed(client: Client, model: Any, query: str = "") -> set[Any]:
    response = client.get(page(model, "changelist"), {"q": query})
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


def keep_ours(desk: Desk, row: Conflict, *, by: Person) -> Intervention:
    return deciding.request(
        operation=deciding.OPERATIONS["conflict", "keep_ours"],
        row_id=row.pk,
        seen=("OPEN", 0),
        terms=Terms(),
        reason="why",
        evidence="",
        by=by,
        venue=desk.venue,
        now=timezone.now(),
    )


@pytest.mark.parametrize("model", DESK_MODELS)
def test_every_table_of_the_desk_can_be_read_and_not_changed(desk, model):
    order = event()
    desk.settle(order)
    take_in(event(order_id=order.order_id, coin="7"))
    treasury.start(asset="BTC", amount=1, direction="to_trading", venue=desk.venue, now=timezone.now())
    halts.begin(venue="binance", reason="the key was refused", now=timezone.now())
    chasing.rest("BTC", why="nothing executed", now=timezone.now())
    keep_ours(desk, Conflict.objects.get(), by=Person(1, "ann"))
    then = timezone.now()
    ReconciliationBreak.objects.create(
        what="w", where="w", detail="d", since=then, found_at=then, seen_at=then
    )
    ReconciliationRun.objects.create(
        at=then,
        seconds=0,
        by="test",
        trades_until=then,
        orders_until=0,
        legs_until=0,
        balances={},
        checked=0,
        found=0,
        closed=0,
        open=0,
        in_flight=0,
    )
    fee = Conversion.objects.earliest("pk").pk
    LateFee.objects.create(
        conversion_id=fee, asset="BNB", amount=1, taken_at=then, worth_usdt=1, valued_at=then
    )
    Execution.objects.create(
        conversion_id=fee, underlying="BTC", side="BUY", coin=1, usdt=1, minute=then, due_at=then
    )
    ExecutionsRead.objects.get_or_create()
    VenueStatement.objects.create(day=then.date(), underlying="BTC", outcome="TOLD", asked_at=then)
    VenueTrade.objects.create(
        symbol="BTCUSDT", venue_trade_id="1", price=1, coin=1, usdt=1, fee=0, traded_at=then
    )
    batch = Batch.objects.create(
        kind=Intervention.Kind.KEEP_OURS,
        subject=Subject.CONFLICT,
        size=1,
        reason="r",
        evidence="e",
        requested_by_id=1,
        requested_by="ann",
        requested_at=then,
    )
    BatchRow.objects.create(batch=batch, subject_id=1, subject_state="OPEN", subject_version=0)
    ClearingPayment.objects.create(
        asset="USDT",
        direction="to_desk",
        amount=1,
        reference="bank-1",
        reason="r",
        requested_by_id=1,
        requested_by="ann",
        requested_at=then,
    )
    staff, row = user(superuser=True), model.objects.order_by("-pk").first()

    assert row.pk in listed(staff, model)
    assert staff.get(page(model, "change", row.pk)).status_code == 200
    assert staff.post(page(model, "change", row.pk), {}).status_code == 403
    assert staff.get(page(model, "add")).status_code == 403
    assert staff.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()
    assert type(admin.site._registry[model]).show_full_result_count is False


def test_search_finds_an_order_by_counters_id_and_a_conversion_by_the_venues(desk):
    first, second = event(), event()
    made = desk.settle(first, second)
    take_in(event(order_id=second.order_id, coin="7"))
    staff = user(superuser=True)

    by_id = AcceptedOrder.objects.in_bulk(field_name="pk")
    assert {by_id[pk].order_id for pk in listed(staff, AcceptedOrder, str(first.order_id))} == {
        first.order_id
    }
    assert listed(staff, AcceptedOrder, "999999999") == set()
    assert listed(staff, AcceptedOrder, "nonsense") == set()
    assert len(listed(staff, Conflict, str(second.order_id))) == 1
    assert listed(staff, Conversion, made.client_order_id) == {made.pk}
    assert listed(staff, Conversion, "9" * 40) == set()
    assert listed(staff, Fill, str(made.pk)) == set(made.fills.values_list("pk", flat=True))
    legs = DeskTransfer.objects.filter(conversion_id=made.pk)
    assert listed(staff, DeskTransfer, str(made.pk)) == set(legs.values_list("pk", flat=True))
    steps = StateChange.objects.filter(subject_id=made.pk, subject="conversion")
    assert listed(staff, StateChange, str(made.pk)) >= set(steps.values_list("pk", flat=True))


def lost(desk: Desk) -> Conversion:
    """A conversion out of sight that is not due for an hour."""
    desk.paper.add_fault("reply_lost", path="/api/v3/order$", method="POST", count=1)
    take_in(event())
    made = desk.convert()
    Conversion.objects.filter(pk=made.pk).update(due_at=timezone.now() + timedelta(hours=1))
    return made


def ask(client: Client, row: Conversion) -> Any:
    data = {"action": "ask_venue_again", "_selected_action": [row.pk], "index": 0}
    return client.post(page(Conversion, "changelist"), data, follow=True)


def test_who_may_has_the_venue_asked_at_once(desk, broker_url):
    made = lost(desk)
    response = ask(user("view_conversion", "ask_venue_conversion"), made)
    assert "asked about 1 of" in str(next(iter(response.context["messages"])))
    made.refresh_from_db()
    assert (made.state, made.due_at <= timezone.now()) == ("UNKNOWN", True)  # nothing was decided
    with redis.Redis.from_url(broker_url) as client:
        assert client.llen(task_queue("sweeps")) == 1
    desk.resume()
    made.refresh_from_db()
    assert made.state == "BOOKED"


@pytest.mark.parametrize(
    "permissions", [["view_conversion"], ["view_conversion", "ask_venue_fundstransfer"], []]
)
def test_a_person_without_the_permission_is_refused_even_by_a_crafted_post(desk, permissions):
    made = lost(desk)
    response = ask(user(*permissions), made)
    assert response.status_code in (200, 403)
    made.refresh_from_db()
    assert made.due_at > timezone.now()


def test_what_is_not_in_doubt_is_left_alone(desk):
    made = desk.settle(event())
    response = ask(user(superuser=True), made)
    assert "asked about 0 of" in str(next(iter(response.context["messages"])))
    made.refresh_from_db()
    assert made.state == "BOOKED"


def lift(client: Client, row: VenueHalt) -> None:
    data = {"action": "lift_halt", "_selected_action": [row.pk], "index": 0}
    client.post(page(VenueHalt, "changelist"), data, follow=True)
    row.refresh_from_db()


def test_a_halt_is_lifted_by_who_may_and_by_nobody_else(desk):
    halts.begin(venue="binance", reason="the key was refused", now=timezone.now())
    row = VenueHalt.objects.get()
    client = user("view_venuehalt", "ask_venue_conversion")
    lift(client, row)
    assert row.lifted_at is None
    staff = get_user_model().objects.get(username="staff")
    staff.user_permissions.add(Permission.objects.get(codename="lift_venuehalt"))
    lift(client, row)
    assert (row.lifted_by, row.lifted_at is not None) == ("staff", True)
    desk.settle(event())

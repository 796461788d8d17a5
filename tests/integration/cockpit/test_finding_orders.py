"""One box finds an order by any id or reference it has, and leads to its timeline."""

from django.urls import reverse
from django.utils import timezone

from acceptance.models import AcceptedOrder
from cockpit.timeline import find, timeline
from counter.expiring import expiry
from counter.models import Customer, SyncOrder, Transfer
from counter.orders import finding
from counter.public_ids import Kind, public_id
from settlement.models import Allocation, Conversion
from tests.support import desk
from tests.support.expiring import AFTER, buy, exercises, expiring_option, record_index
from tests.support.factories import make_customer
from tests.support.staff import staff


def test_one_box_finds_an_order_by_each_of_its_names(settled, venue):
    opened, closed = settled
    desk.run_desk(venue)
    conversion = Conversion.objects.latest("id")
    trade = conversion.fills.first()
    entry = Transfer.objects.filter(order_id=opened.id).latest("pk")
    for term, what in {
        str(opened.id): "order id",
        public_id(Kind.ORDER, opened.id): "customer's id of the order",
        public_id(Kind.POSITION, opened.position_id): "customer's id of the position",
        public_id(Kind.LEDGER_ENTRY, entry.pk): "customer's id of the ledger entry",
        opened.client_order_id: "client order id",
        f"{Customer.objects.get(pk=opened.customer_id).reference} {opened.client_order_id}": "client order id",
        Customer.objects.get(pk=opened.customer_id).reference: "customer",
        conversion.venue_order_id: "venue order id",
        conversion.client_order_id: "our id at the venue",
        trade.venue_trade_id: "venue trade id",
    }.items():
        assert what in {match.order_id: match.what for match in find(term)}[opened.id].split(", ")
    assert {match.order_id for match in find(conversion.client_order_id)} == {opened.id, closed.id}
    for nothing in (
        "",
        "nobody",
        "9" * 40,
        "\x00'; --",
        f"ord_{'0' * 32}",
        public_id(Kind.STREAM_MARK, opened.id),
    ):
        assert find(nothing.replace("\x00", "")) == []


def test_an_exercise_is_found_by_both_of_its_names_and_told_by_its_customers(two_systems):
    opening = buy(make_customer(balance="1000"), expiring_option())
    record_index()
    expiry.expire_due(now=AFTER)
    [exercise] = exercises()
    shown = f"exercise/{public_id(Kind.POSITION, opening.position_id)}"
    for name in (shown, f"exercise/{opening.position_id}"):
        [match] = find(name)
        assert (match.order_id, match.client_order_id) == (exercise.pk, shown)


def test_a_client_id_is_looked_for_with_every_customer_while_there_is_time(settled, monkeypatch):
    opened, _ = settled
    monkeypatch.setattr(finding, "RECENT_ORDERS", 0)
    assert [match.order_id for match in find(opened.client_order_id)] == [opened.id]
    monkeypatch.setattr(finding, "SECONDS", 0.0)
    assert find(opened.client_order_id) == []
    reference = Customer.objects.get(pk=opened.customer_id).reference
    assert [match.order_id for match in find(f"{reference} {opened.client_order_id}")] == [opened.id]
    monkeypatch.setattr(finding, "RECENT_ORDERS", 100)
    assert [match.order_id for match in find(opened.client_order_id)] == [opened.id]


def test_box_leads_to_the_page_and_the_page_tells_it(settled, venue):
    opened, _ = settled
    desk.run_desk(venue)
    client = staff("staff", superuser=True)
    answer = client.get(reverse("find_order"), {"q": opened.client_order_id})
    page = reverse("order_timeline", args=[opened.id])
    assert (answer.status_code, answer["Location"]) == (302, page)
    shown = client.get(page)
    assert shown.status_code == 200
    assert b"every 2s" not in shown.content
    for event in timeline(order_id=opened.id, now=timezone.now()).events:
        assert event.kind.encode() in shown.content
    assert public_id(Kind.ORDER, opened.id).encode() in shown.content
    assert "is not stored" in client.get(reverse("find_order"), {"q": "nobody"}).content.decode()


def test_every_row_of_an_order_leads_to_its_timeline(settled, venue):
    opened, _ = settled
    desk.run_desk(venue)
    client, link = staff("staff", superuser=True), reverse("order_timeline", args=[opened.id]).encode()
    for model in (SyncOrder, Transfer, AcceptedOrder, Allocation):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert link in client.get(reverse(name)).content, name


def test_the_first_page_has_the_box(settled):
    assert (
        f'action="{reverse("find_order")}"' in staff("staff", superuser=True).get("/admin/").content.decode()
    )

"""The desk's side door: a signature with the service key alone opens it, and every call may be repeated."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from counter import contracts
from counter.api import internal
from counter.contracts import (
    Acknowledgement,
    ClearingSums,
    CoinCondition,
    ConditionsAnswer,
    DeskConditions,
    OrderHistory,
    SettlementAnswer,
    SettlementBatch,
    SettlementReport,
    SyncBatch,
)
from counter.models import DeskCondition, Quote, SyncOrder
from tests.support.api import error_of
from tests.support.factories import make_customer, place_open
from tests.support.signing import SignedClient

SYNC, ACK, SETTLEMENTS, CONDITIONS, CLEARING, HISTORY = (
    "/internal/v1/sync-orders",
    "/internal/v1/sync-orders/ack",
    "/internal/v1/settlements",
    "/internal/v1/conditions",
    "/internal/v1/clearing",
    "/internal/v1/order-history",
)


def post(client, path, message):
    return client.post(path, message if isinstance(message, bytes) else contracts.encode(message))


def report_of(order):
    return SettlementReport(
        order_id=order.id,
        conversion_id=1,
        price=order.index_price,
        value=order.fair,
        fee=order.fair - order.fair,
        due=order.fair,
        settled_at=order.placed_at,
    )


def pulled(desk, **query):
    return contracts.decode(desk.get(SYNC, query_params=query).content, SyncBatch).events


# --- access ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [SYNC, ACK, SETTLEMENTS, CONDITIONS, CLEARING, HISTORY])
@pytest.mark.django_db
def test_nobody_comes_in_without_a_signature(path, settings):
    client = Client(headers={"Authorization": f"Bearer {settings.SERVICE_KEY}"})
    for response in (client.get(path), client.post(path, b"{}", content_type="application/json")):
        assert error_of(response, 401)["code"] == "not_authenticated"


def test_a_customers_token_does_not_open_it(caller):
    assert error_of(caller.http.get(SYNC), 401)["code"] == "not_authenticated"


def test_no_csrf_token_is_asked_of_the_desk(db, settings):
    client = SignedClient(enforce_csrf_checks=True)
    response = post(client, ACK, Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=[]))
    assert response.json() == {"acknowledged": 0}


@pytest.mark.parametrize(
    ("path", "allowed"), [(SYNC, "GET"), (ACK, "POST"), (SETTLEMENTS, "POST"), (CONDITIONS, "POST")]
)
def test_wrong_methods_are_told(desk, path, allowed):
    response = desk.put(path, b"{}", content_type="application/json")
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response["Allow"] == allowed


# --- pulling and acknowledging --------------------------------------------------------------------------------------


def test_unacknowledged_orders_are_pulled_oldest_first(desk, caller, option, settings):
    first, second, third = (place_open(caller.customer, option) for _ in range(3))
    events = pulled(desk)
    assert events == [order.sync_event(settings.COUNTER_SOURCE) for order in (first, second, third)]
    assert pulled(desk, limit=2) == events[:2]


def test_a_page_goes_on_after_the_last_order_of_the_one_before(desk, caller, option):
    now = timezone.now() - timedelta(seconds=5)
    Quote.objects.update(quoted_at=now - timedelta(seconds=5))
    orders = [place_open(caller.customer, option, now=now) for _ in range(3)]
    early = place_open(caller.customer, option, now=now - timedelta(seconds=5))
    oldest_first = [early.id, *(order.id for order in orders)]
    for place, order_id in enumerate(oldest_first):
        after = [event.order_id for event in pulled(desk, after_id=order_id)]
        assert after == oldest_first[place + 1 :]
    assert len(pulled(desk, after_id=10**12)) == len(oldest_first)


def test_young_orders_can_be_left_to_the_queue(desk, caller, option):
    old = place_open(caller.customer, option, now=timezone.now() - timedelta(seconds=5))
    place_open(caller.customer, option)
    assert [event.order_id for event in pulled(desk, min_age_ms=4000)] == [old.id]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 5001},
        {"limit": "x"},
        {"min_age_ms": -1},
        {"min_age_ms": 10**12},
        {"after_id": -1},
        {"x": 1},
    ],
)
def test_pull_is_read_strictly(desk, query):
    assert error_of(desk.get(SYNC, query_params=query), 400)["code"] == "invalid_request"


def test_acknowledged_orders_are_not_pulled_again_and_counted_once(desk, caller, option, settings):
    first, second = place_open(caller.customer, option), place_open(caller.customer, option)
    message = Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=[first.id, 10**12])
    assert post(desk, ACK, message).json() == {"acknowledged": 1}
    assert post(desk, ACK, message).json() == {"acknowledged": 0}
    assert [event.order_id for event in pulled(desk)] == [second.id]
    assert SyncOrder.objects.get(pk=first.id).state == "SYNCED"


# --- settlements ----------------------------------------------------------------------------------------------------


def test_settlements_are_answered_with_what_is_taken_and_refused(desk, caller, option, settings):
    order = place_open(caller.customer, option)
    stranger = report_of(order.__class__(**{**order_fields(order), "id": 10**12}))
    message = SettlementBatch(source=settings.COUNTER_SOURCE, reports=[report_of(order), stranger])
    for _ in range(2):
        answer = contracts.decode(post(desk, SETTLEMENTS, message).content, SettlementAnswer)
        assert (answer.taken, answer.refused) == ([order.id], [10**12])
    assert SyncOrder.objects.get(pk=order.id).state == "SETTLED"


def order_fields(order):
    return {name: getattr(order, name) for name in order.__class__.__slots__}


# --- conditions -----------------------------------------------------------------------------------------------------


def told(desk, settings, as_of, *coins, **fields):
    message = DeskConditions(source=settings.COUNTER_SOURCE, as_of=as_of, coins=list(coins), **fields)
    return post(desk, CONDITIONS, message)


def test_the_latest_word_of_each_coin_is_kept_in_any_order_of_arrival(desk, db, settings):
    now = timezone.now()
    late, early = CoinCondition("BTC", Decimal("-1.5"), doubtful_since=now), CoinCondition("BTC", Decimal(2))
    ether = CoinCondition("ETH", Decimal("0.00000001"), venue_halted_since=now)
    taken = [
        contracts.decode(told(desk, settings, as_of, *coins).content, ConditionsAnswer).taken
        for as_of, coins in (
            (now, [late]),
            (now - timedelta(seconds=1), [early, ether]),
            (now, [early]),
        )
    ]
    assert taken == [["BTC"], ["ETH"], []]
    kept = DeskCondition.objects.order_by("underlying")
    fields = ("unhedged_coin", "venue_halted_since", "doubtful_since", "as_of")
    assert list(kept.values_list(*fields)) == [
        (Decimal("-1.5"), None, now, now),
        (Decimal("0.00000001"), now, None, now - timedelta(seconds=1)),
    ]


def test_a_condition_of_a_time_that_has_not_come_is_refused(desk, db, settings):
    answer = told(desk, settings, timezone.now() + timedelta(minutes=2), CoinCondition("BTC", Decimal(1)))
    assert error_of(answer, 400)["detail"] == {"path": "$.as_of"}
    assert not DeskCondition.objects.exists()


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1000000000000"])
def test_a_condition_with_an_amount_that_is_none_is_refused(desk, db, settings, amount):
    body = (
        f'{{"source":"{settings.COUNTER_SOURCE}","as_of":"2026-11-01T12:00:00Z",'
        f'"coins":[{{"underlying":"BTC","unhedged_coin":"{amount}"}}]}}'
    ).encode()
    assert error_of(post(desk, CONDITIONS, body), 400)["code"] == "invalid_request"
    assert post(desk, CONDITIONS, body.replace(amount.encode(), b"-0.5")).status_code == 200


# --- what is refused ------------------------------------------------------------------------------------------------


def test_messages_for_another_counter_are_refused(desk, caller, option):
    order = place_open(caller.customer, option)
    for path, message in (
        (ACK, Acknowledgement(source="other", order_ids=[order.id])),
        (SETTLEMENTS, SettlementBatch(source="other", reports=[report_of(order)])),
        (CONDITIONS, DeskConditions(source="other", as_of=timezone.now(), coins=[])),
    ):
        assert error_of(post(desk, path, message), 400)["detail"] == {"path": "$.source"}
    assert SyncOrder.objects.get(pk=order.id).state == "PENDING"


def test_messages_of_another_version_are_refused(desk, settings):
    message = Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=[], version=2)
    assert error_of(post(desk, ACK, message), 400)["detail"] == {"path": "$.version"}


def test_batches_are_limited(desk, settings, monkeypatch):
    monkeypatch.setattr(internal, "MAX_ENTRIES", 2)
    message = Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=[1, 2, 3])
    assert error_of(post(desk, ACK, message), 413)["code"] == "batch_too_large"


def test_a_full_batch_of_settlements_fits_into_a_body(settings):
    """5,000 reports with amounts as long as they get, against Django's limit on a body."""
    long = contracts.decode(
        b'{"order_id":9223372036854775807,"conversion_id":9223372036854775807,"price":"123456789012.12345678",'
        b'"value":"12345678901234567890.12345678","fee":"12345678901234567890.12345678",'
        b'"due":"12345678901234.123456","settled_at":"2026-11-01T12:00:00.123456Z"}',
        SettlementReport,
    )
    batch = SettlementBatch(source=settings.COUNTER_SOURCE, reports=[long] * internal.MAX_ENTRIES)
    assert len(contracts.encode(batch)) < settings.DATA_UPLOAD_MAX_MEMORY_SIZE


@pytest.mark.parametrize(
    ("change", "old"),
    [
        (b'"due":"NaN"', b'"due":"45.000000"'),
        (b'"due":"Infinity"', b'"due":"45.000000"'),
        (b'"due":"45.0000001"', b'"due":"45.000000"'),
        (b'"order_id":99999999999999999999', b'"order_id":1'),
        (b'"order_id":1.0', b'"order_id":1'),
        (b'"settled_at":"2026-11-01T12:00:00"', b'"settled_at":"2026-11-01T12:00:00Z"'),
        (b'"extra":1,"fee"', b'"fee"'),
        (b"", b'"fee":"0",'),
    ],
    ids=repr,
)
def test_reports_are_read_strictly(desk, settings, change, old):
    body = (
        f'{{"source":"{settings.COUNTER_SOURCE}","reports":[{{"order_id":1,"conversion_id":1,"price":"90000",'
        '"value":"45","fee":"0","due":"45.000000","settled_at":"2026-11-01T12:00:00Z"}]}'
    ).encode()
    assert post(desk, SETTLEMENTS, body).status_code == 200
    assert old in body
    assert error_of(post(desk, SETTLEMENTS, body.replace(old, change)), 400)["code"] == "invalid_request"


@pytest.mark.parametrize("path", [ACK, SETTLEMENTS, CONDITIONS])
def test_what_is_no_message_is_refused(desk, path):
    for raw in (b"{", b"\xff", b"[]", b"{}"):
        assert error_of(post(desk, path, raw), 400)["code"] in {"malformed_json", "invalid_request"}


# --- clearing -------------------------------------------------------------------------------------------------------


def sums(desk, **query):
    query = {"placed_before": (timezone.now() + timedelta(minutes=1)).isoformat(), **query}
    return contracts.decode(desk.get(CLEARING, query_params=query).content, ClearingSums)


def test_clearing_is_added_up_by_runs_of_orders_up_to_a_moment(desk, option):
    customer = make_customer()
    placed = [place_open(customer, option) for _ in range(3)]
    first = placed[0].id - 1
    one_by_one = sums(desk, after_id=first, width=1)
    assert [(entry.first_id, entry.amount) for entry in one_by_one.sums] == [
        (order.id, order.fair) for order in placed
    ]
    together = sums(desk, after_id=first, width=1000)
    assert [(entry.orders, entry.amount) for entry in together.sums] == [
        (3, sum(order.fair for order in placed))
    ]
    assert (together.until_id, together.is_all, together.of_no_order) == (placed[-1].id, True, 0)
    page = sums(desk, after_id=first, width=1, runs=2)
    assert (page.until_id, page.is_all) == (placed[1].id, False)
    before = sums(desk, after_id=first, placed_before=placed[0].placed_at.isoformat())
    assert (before.sums, before.until_id, before.is_all) == ([], first, True)


@pytest.mark.parametrize(
    "query", [{"width": 0}, {"width": 5000}, {"placed_before": "yesterday"}, {"other": 1}]
)
def test_clearing_refuses_what_it_cannot_add_up(desk, query):
    asked = {"placed_before": timezone.now().isoformat(), **query}
    assert error_of(desk.get(CLEARING, query_params=asked), 400)["code"] == "invalid_request"


def test_orders_of_every_state_are_told_by_their_ids_with_what_settled_them(desk, option, settings):
    customer = make_customer()
    placed = [place_open(customer, option) for _ in range(3)]
    ids = [order.id for order in placed]
    post(desk, ACK, Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=ids[:2]))
    report = report_of(placed[0])
    post(desk, SETTLEMENTS, SettlementBatch(source=settings.COUNTER_SOURCE, reports=[report]))

    def asked(**query):
        return contracts.decode(desk.get(HISTORY, query_params=query).content, OrderHistory)

    whole = asked(after_id=ids[0] - 1)
    assert whole.events == [order.sync_event(settings.COUNTER_SOURCE) for order in placed]
    assert whole.reports == [report]
    page = asked(after_id=ids[0], limit=1)
    assert ([event.order_id for event in page.events], page.reports) == ([ids[1]], [])
    assert asked(after_id=ids[2]) == OrderHistory(events=[], reports=[])
    assert error_of(desk.get(HISTORY, query_params={"limit": 0}), 400)["code"] == "invalid_request"

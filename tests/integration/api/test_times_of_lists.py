"""Lists between two times: the first is within and the second is not, page by page, and with every other filter."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest

from counter.models import Position, SyncOrder
from counter.money.withdrawals import confirm, reserve
from infra.db.ids_by_time import SKEW, begin_id, end_id
from tests.support.api import Caller, error_of
from tests.support.factories import make_customer, make_option, make_quote, place_open
from tests.support.kept_rows import once
from tests.support.public_ids import rows
from tests.support.signing import wallet_client

pytestmark = pytest.mark.django_db(transaction=True)

BEGAN = datetime(2025, 11, 1, tzinfo=UTC)
DAYS = [BEGAN + timedelta(days=day) for day in range(5)]
MICROSECOND = timedelta(microseconds=1)
TIMES_OF = {"orders": "placed_at", "positions": "opened_at"}


def place_daily():
    """Orders of one customer, at noon by UTC of five days, and one of another customer between them."""
    customer, other = make_customer(now=BEGAN), make_customer(now=BEGAN)
    option = make_option(now=BEGAN, days=150)
    placed = []
    for at in DAYS:
        make_quote(option, now=at)
        placed.append(place_open(customer, option, now=at))
        place_open(other, option, now=at)
    return placed


@pytest.fixture
def orders():
    return once(place_daily)


@pytest.fixture
def caller(orders):
    return Caller(SyncOrder.objects.get(pk=orders[0].id).customer)


def ids(caller, path, **query):
    answer = caller.get(path, **query)
    assert answer.status_code == 200, answer.content
    return rows(each["id"] for each in answer.json()["results"])


@pytest.mark.parametrize("path", TIMES_OF)
@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (DAYS[1], None, [4, 3, 2, 1]),
        (DAYS[1] + MICROSECOND, None, [4, 3, 2]),
        (None, DAYS[1], [0]),
        (None, DAYS[1] + MICROSECOND, [1, 0]),
        (DAYS[1], DAYS[3], [2, 1]),
        (DAYS[1], DAYS[1], []),
        (DAYS[3], DAYS[1], []),
        (DAYS[4] + MICROSECOND, None, []),
        (DAYS[2].astimezone(timezone(timedelta(hours=5, minutes=30))), DAYS[3], [2]),
    ],
    ids=repr,
)
def test_what_lies_between_is_found(caller, orders, path, begin, end, found):
    times = {"from": begin, "to": end}
    query = {name: at.isoformat() for name, at in times.items() if at is not None}
    assert ids(caller, path, **query) == [orders[day].id for day in found]


@pytest.mark.parametrize("path", TIMES_OF)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"from": "0001-01-01T00:00:00Z"}, 5),
        ({"to": "9999-12-31T23:59:59.999999Z"}, 5),
        ({"from": "0001-01-01T00:00:00+23:00", "to": "9999-12-31T23:59:59-23:00"}, 5),
        ({"to": "0001-01-01T00:00:00+23:00"}, 0),
        ({"from": "9999-12-31T23:59:59-23:00"}, 0),
    ],
    ids=repr,
)
def test_times_beyond_all_others_are_times_too(caller, path, query, found):
    assert len(ids(caller, path, **query)) == found


@pytest.mark.parametrize("path", TIMES_OF)
def test_pages_within_times_join_and_so_do_times(caller, orders, path):
    query = {"from": DAYS[1].isoformat(), "to": DAYS[4].isoformat(), "limit": 2}
    first = caller.get(path, **query).json()
    second = caller.get(path, **query, cursor=first["next_cursor"]).json()
    assert second["next_cursor"] is None
    seen = rows(each["id"] for page in (first, second) for each in page["results"])
    assert seen == [order.id for order in orders[3:0:-1]]
    parts = [
        ids(caller, path, **{"from": begin.isoformat(), "to": end.isoformat()})
        for begin, end in pairwise([*DAYS, DAYS[-1] + timedelta(days=1)])
    ]
    assert parts == [[order.id] for order in orders]


def test_times_are_a_filter_among_others(caller, orders):
    SyncOrder.objects.filter(pk__in=[orders[1].id, orders[3].id]).update(state="SYNCED")
    Position.objects.filter(pk__in=[orders[1].id, orders[3].id]).update(state="CLOSED")
    begin = {"from": DAYS[2].isoformat()}
    assert ids(caller, "orders", state="synced", **begin) == [orders[3].id]
    assert ids(caller, "orders", symbol=orders[0].symbol, **begin) == [order.id for order in orders[:1:-1]]
    assert ids(caller, "orders", client_order_id=orders[1].client_order_id, **begin) == []
    assert ids(caller, "positions", state="closed", **begin) == [orders[3].id]


@pytest.mark.parametrize("path", TIMES_OF)
@pytest.mark.parametrize(
    "query",
    [
        *({"from": value} for value in ("yesterday", "2025-11-01", "2025-11-01T00:00:00", "null", "", "0.5")),
        *({"to": value} for value in ("1764000000000", "2025-13-01T00:00:00Z", "2025-11-01T00:00:00 00:00")),
    ],
    ids=repr,
)
def test_times_are_read_strictly(caller, path, query):
    error = error_of(caller.get(path, **query), 400)
    assert error["code"] == "invalid_request"
    assert error["detail"] == {"path": f"$.{next(iter(query))}"}


@pytest.mark.parametrize("path", TIMES_OF)
def test_orders_whose_clocks_differ_are_found_by_their_times(caller, orders, path):
    """By nearly as much as is allowed for: an older order with a newer time, and the reverse."""
    older, newer = orders[1], orders[2]
    behind, ahead = DAYS[3], DAYS[3] + SKEW - MICROSECOND
    for before, at in ((orders[3].id, behind), (older.id + 1, ahead)):
        SyncOrder.objects.filter(pk__gte=older.id, pk__lt=before).update(placed_at=at)
        Position.objects.filter(pk__gte=older.id, pk__lt=before).update(opened_at=at)
    assert ids(caller, path, **{"from": ahead.isoformat(), "to": DAYS[4].isoformat()}) == [older.id]
    assert ids(caller, path, **{"from": DAYS[1].isoformat(), "to": ahead.isoformat()}) == [
        *(orders[3].id, newer.id),
    ]


def test_withdrawals_are_found_by_when_they_were_reserved(caller):
    """By their customer, and by the wallet service among those of all."""
    for number, at in enumerate(DAYS):
        reserve(customer_id=caller.customer.pk, amount=Decimal(1), reference=f"w-{number}", now=at)
    confirm(reference="w-1", now=DAYS[4])
    wallet = wallet_client()
    for begin, end, found in (
        (DAYS[1], DAYS[3], [2, 1]),
        (DAYS[1] + MICROSECOND, None, [4, 3, 2]),
        (None, DAYS[1], [0]),
        (DAYS[3], DAYS[1], []),
    ):
        times = {"from": begin, "to": end}
        query = {name: at.isoformat() for name, at in times.items() if at is not None}
        own = caller.get("withdrawals", **query).json()["results"]
        assert [DAYS.index(datetime.fromisoformat(row["reserved_at"])) for row in own] == found
        of_all = wallet.get("/wallet/v1/withdrawals", query_params=query).json()["results"]
        assert [row["reference"] for row in of_all] == [f"w-{number}" for number in found]
        confirmed = caller.get("withdrawals", state="confirmed", **query).json()["results"]
        assert len(confirmed) == (1 in found)
    first = caller.get("withdrawals", to=DAYS[4].isoformat(), limit=3).json()
    rest = caller.get("withdrawals", to=DAYS[4].isoformat(), limit=3, cursor=first["next_cursor"]).json()
    assert (len(first["results"]), len(rest["results"]), rest["next_cursor"]) == (3, 1, None)


def test_of_an_empty_table_no_id_is_of_a_time():
    assert begin_id("counter_syncorder", "placed_at", BEGAN) == 0
    assert end_id("counter_syncorder", "placed_at", BEGAN) == 0

"""How far the desk is behind, as counter measures it from what is unsettled and from the reports that it took."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from counter.models import DeskCondition, DeskProgress, SyncOrder, TradingStatus
from counter.trading.back_pressure import WHOLE, DeskLoad
from counter.trading.desk_load import LoadWatch, read_loads
from tests.support.factories import make_customer, make_option, place_open
from tests.support.settling import settle

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_customer(balance="1000000", now=NOW)


@pytest.fixture
def bitcoin():
    return make_option(now=NOW)


@pytest.fixture
def ether():
    return make_option(underlying="ETH", now=NOW)


@pytest.fixture
def status():
    return TradingStatus.objects.create(underlying="BTC", spread_rate="0.005", since=NOW, judged_at=NOW)


def crowd(order, *, count, placed_at):
    """As many more orders as `order`, placed at that moment."""
    row = SyncOrder.objects.get(pk=order.id)
    rows = []
    for number in range(count):
        values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        values |= {"id": 10**9 + row.id * 10**5 + number, "client_order_id": f"{row.id}-{number}"}
        rows.append(SyncOrder(**values | {"placed_at": placed_at, "state": "PENDING"}))
    SyncOrder.objects.bulk_create(rows)


def test_a_coin_that_never_had_an_order_has_no_load():
    assert read_loads(now=NOW) == {}


def test_the_oldest_unsettled_order_is_as_late_as_it_is_old_whether_acknowledged_or_not(customer, bitcoin):
    first, _ = place_open(customer, bitcoin, now=NOW), place_open(customer, bitcoin, now=NOW + SECOND)
    SyncOrder.objects.filter(pk=first.id).update(state="SYNCED")
    load = read_loads(now=NOW + 3 * SECOND)["BTC"]
    assert load == DeskLoad(settled=0, waiting=2, behind=2, behind_seconds=3.0)


def test_an_order_that_a_settled_one_has_overtaken_waits_but_is_not_behind(customer, bitcoin):
    place_open(customer, bitcoin, now=NOW)
    settle(place_open(customer, bitcoin, now=NOW + SECOND), now=NOW + 2 * SECOND)
    assert read_loads(now=NOW + 60 * SECOND)["BTC"] == DeskLoad(settled=1, waiting=1)
    place_open(customer, bitcoin, now=NOW + 8 * SECOND)
    assert read_loads(now=NOW + 9 * SECOND)["BTC"] == DeskLoad(
        settled=1, waiting=2, behind=1, behind_seconds=1.0
    )


def test_each_coin_is_measured_by_itself(customer, bitcoin, ether):
    place_open(customer, bitcoin, now=NOW)
    settle(place_open(customer, ether, now=NOW), now=NOW + SECOND)
    loads = read_loads(now=NOW + 2 * SECOND)
    assert (loads["BTC"].behind, loads["ETH"].behind, loads["ETH"].settled) == (1, 0, 1)


def test_a_report_that_comes_again_is_counted_once(customer, bitcoin):
    order = place_open(customer, bitcoin, now=NOW)
    settle(order, now=NOW + SECOND)
    with pytest.raises(AssertionError):
        settle(order, due="1", now=NOW + 2 * SECOND)
    assert DeskProgress.objects.get().settled == 1


def test_an_order_that_a_wrong_clock_dated_ahead_hides_nobody_behind_it(customer, bitcoin):
    dated_ahead = place_open(customer, bitcoin, now=NOW)
    SyncOrder.objects.filter(pk=dated_ahead.id).update(placed_at=NOW + timedelta(days=1))
    settle(dated_ahead, now=NOW)
    assert not DeskProgress.objects.exists()
    DeskProgress.objects.create(underlying="BTC", newest_at=NOW + timedelta(days=1))
    place_open(customer, bitcoin, now=NOW)
    assert read_loads(now=NOW + SECOND)["BTC"].behind == 1
    settle(place_open(customer, bitcoin, now=NOW + SECOND), now=NOW + 2 * SECOND)
    assert DeskProgress.objects.get().newest_at == NOW + SECOND


def test_what_the_venue_takes_is_told_by_the_desk(customer, bitcoin):
    DeskCondition.objects.create(underlying="BTC", venue_ms=250, as_of=NOW, received_at=NOW)
    place_open(customer, bitcoin, now=NOW)
    load = read_loads(now=NOW + SECOND)["BTC"]
    assert load.venue_seconds == 0.25
    assert load.late_seconds == 0.5


def test_a_desk_that_is_behind_leaves_its_share_where_orders_read_it(customer, bitcoin, status, settings):
    settings.DESK_BEHIND_AFTER_SECONDS, settings.DESK_FEW_ORDERS = 0.5, 100
    watch = LoadWatch()
    order = place_open(customer, bitcoin, now=NOW)
    assert watch.measure(now=NOW, at_seconds=0.0) == {"BTC": WHOLE}
    for second in range(1, 6):
        crowd(order, count=1_000 + second, placed_at=NOW + second * SECOND)
        order = place_open(customer, bitcoin, now=NOW + second * SECOND)
        settle(
            place_open(customer, bitcoin, now=NOW + timedelta(milliseconds=second)), now=NOW + second * SECOND
        )
        shares = watch.measure(now=NOW + (second + 1) * SECOND, at_seconds=float(second))
    assert shares["BTC"] < WHOLE / 10
    status.refresh_from_db()
    assert status.admitted_permille == shares["BTC"]
    anew = LoadWatch()
    assert anew.measure(now=NOW + 7 * SECOND, at_seconds=0.0) == shares


def test_a_share_that_could_not_be_stored_is_stored_by_the_next_measurement(customer, bitcoin, status):
    TradingStatus.objects.update(admitted_permille=10)
    settle(place_open(customer, bitcoin, now=NOW), now=NOW + SECOND)
    watch = LoadWatch()
    assert watch.measure(now=NOW + SECOND, at_seconds=0.0) == {"BTC": 10}
    with connection.execute_wrapper(refuse_updates), pytest.raises(OperationalError):
        watch.measure(now=NOW + SECOND, at_seconds=0.25)
    [share] = watch.measure(now=NOW + SECOND, at_seconds=0.5).values()
    status.refresh_from_db()
    assert status.admitted_permille == share > 10
    for tick in range(3, 20):
        watch.measure(now=NOW + SECOND, at_seconds=0.25 * tick)
    status.refresh_from_db()
    assert status.admitted_permille == WHOLE


def test_a_coin_that_is_not_paced_is_admitted_whole_however_far_the_desk_is_behind(
    customer, bitcoin, status, settings
):
    settings.DESK_FEW_ORDERS = 10
    TradingStatus.objects.update(admitted_permille=10, is_paced=False)
    crowd(place_open(customer, bitcoin, now=NOW), count=500, placed_at=NOW)
    watch = LoadWatch()
    for tick in range(8):
        shares = watch.measure(now=NOW + tick * SECOND, at_seconds=0.25 * tick)
    assert shares == {"BTC": WHOLE}
    status.refresh_from_db()
    assert status.admitted_permille == WHOLE
    TradingStatus.objects.update(is_paced=True)
    for tick in range(8, 16):
        shares = watch.measure(now=NOW + tick * SECOND, at_seconds=0.25 * tick)
        crowd(place_open(customer, bitcoin, now=NOW), count=500, placed_at=NOW + tick * SECOND)
    assert shares["BTC"] < WHOLE


def refuse_updates(execute, sql, params, many, context):
    if sql.startswith("UPDATE"):
        raise OperationalError("the server is being restarted")
    return execute(sql, params, many, context)

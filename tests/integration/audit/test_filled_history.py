"""A filled history is one that the systems could have left: the audit and the systems themselves find it so."""

import pytest
from django.db import connections

from acceptance.models import AcceptedOrder
from counter.models import CashMovement, SyncOrder
from settlement.models import Conversion, StateChange
from tests.integration.audit.test_clean import found
from tests.support import desk
from tests.support.databases import environment
from tests.support.factories import place_close, place_open
from tools.bench.history import fill

# A customer's every leg shows the balance before it, moved by its amount; so does the account at last.
BROKEN_BALANCES = """
    WITH legs AS (
        SELECT id, credit_account_id AS account_id, amount AS change, balance_after, created_at
        FROM counter_transfer WHERE credit_account_id >= 1000
        UNION ALL
        SELECT id, debit_account_id, -amount, balance_after, created_at
        FROM counter_transfer WHERE debit_account_id >= 1000
    ), steps AS (
        SELECT account_id, change, balance_after, created_at, lead(id) OVER path AS next_id,
               lag(balance_after, 1, 0) OVER path AS balance_before, lag(created_at) OVER path AS at_before
        FROM legs WINDOW path AS (PARTITION BY account_id ORDER BY id)
    )
    SELECT count(*) FROM steps AS s JOIN counter_account AS a ON a.id = s.account_id
    WHERE (balance_after = balance_before + change AND (at_before IS NULL OR created_at >= at_before)
           AND (next_id IS NOT NULL OR balance_after = a.balance)) IS NOT TRUE
"""


def test_history_filled_around_real_orders_is_in_order(past, check, venue):
    real = SyncOrder.objects.count()
    fill(orders=2_000, environment=environment(), customers=30)
    place_close(place_open(past.customer, past.option, contracts=3))
    desk.run_desk(venue)
    fill(orders=1_402, environment=environment(), customers=7)

    report = check()
    assert found(report) == []
    assert (report.broken, report.in_flight, report.unchecked) == (0, 0, [])
    orders = real + 2 + 2_000 + 1_402
    assert [report.result(number).checked for number in (3, 4)] == [orders] * 2
    assert report.result(9).checked == orders + CashMovement.objects.count()
    with connections["default"].cursor() as cursor:
        cursor.execute(BROKEN_BALANCES)
        assert cursor.fetchone() == (0,)


def test_filled_orders_are_of_all_kinds_and_have_come_the_whole_way(two_systems):
    fill(orders=1_000, environment=environment(), customers=30)
    for model in (SyncOrder, AcceptedOrder):
        kinds = set(model.objects.values_list("kind", "payout", "underlying"))
        ways = (("OPEN", "instant"), ("CLOSE", "instant"), ("CLOSE", "at_fill"))
        assert kinds == {(*way, coin) for way in ways for coin in ("BTC", "ETH")}
    placed = list(SyncOrder.objects.order_by("id").values_list("placed_at", flat=True))
    assert placed == sorted(placed)
    assert set(AcceptedOrder.objects.values_list("state", flat=True)) == {"REPORTED"}
    assert StateChange.objects.count() == 3 * Conversion.objects.count() == 15


def test_odd_history_is_refused_before_anything_is_written(two_systems):
    with pytest.raises(ValueError, match="even number"):
        fill(orders=3, environment=environment())
    assert not SyncOrder.objects.exists()

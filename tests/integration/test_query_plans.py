"""Each query of the systems is answered by an index: seen on tables that are worth one."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client

from acceptance import counter_client
from tests.support.databases import environment
from tests.support.factories import make_customer, make_option
from tests.support.public_ids import rows
from tools.bench.history import fill
from tools.bench.plans import operations
from tools.bench.plans.ground import Ground
from tools.bench.plans.judging import faults, large_tables, nodes
from tools.bench.plans.recording import Recorder

GROWN = {
    *("counter_syncorder", "counter_position", "counter_transfer"),
    *("acceptance_acceptedorder", "settlement_allocation"),
}
ORDERS = 30_000  # fewer, and what counts up to 10,000 rows would read most of a table


@pytest.fixture
def recorder(two_systems, live_server, settings):
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    fill(orders=ORDERS, environment=environment(), customers=300)
    recorder = Recorder()
    with recorder.installed():
        yield recorder
    counter_client._session().close()  # whose thread of the server would keep its connection
    counter_client._local.__dict__.clear()


def test_no_operation_reads_a_grown_table_whole_and_one_that_did_would_be_found(recorder, venue):
    operations.run_all(Ground(venue=venue, orders=20, named=recorder.during))
    large = large_tables()
    assert large.keys() >= GROWN
    asked = [explained for explained in recorder.explained if explained.operation not in operations.READS_ALL]
    assert len(asked) > 200
    found = {(each.operation, each.sql): faults(each, large) for each in asked}
    assert {key: faulty for key, faulty in found.items() if faulty} == {}

    with recorder.during("a search that no index serves"), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM counter_syncorder WHERE symbol = %s", ["BTC"])
    assert faults(recorder.explained[-1], large) == ["reads counter_syncorder whole"]


# An order and its position each minute, of one customer after the other.
HISTORY = """
    WITH o AS (
        INSERT INTO counter_syncorder (id, customer_id, client_order_id, kind, option_id, position_id, symbol,
            underlying, contracts, premium, index_price, coin, fair, spread, amount, payout, state, placed_at)
        SELECT n, (%s::bigint[])[1 + n %% 200], 'o-' || n, 'OPEN', %s, n, 'BTC-1JAN27-90000-C',
            'BTC', 1, 0.02, 90000, 0.0002, 18, 0.09, 18.09, 'instant', 'SETTLED', %s + n * interval '1 minute'
        FROM generate_series(1, 30000) AS n RETURNING *
    )
    INSERT INTO counter_position
        (id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at)
    SELECT id, customer_id, option_id, 1, 1, 0, amount, 0, 'OPEN', placed_at FROM o
"""


@pytest.mark.parametrize("path", ["orders", "positions"])
def test_a_time_long_ago_is_read_without_what_came_before_or_after(transactional_db, path):
    """By plan, also by a prepared one: of the customer's orders those of the time alone, and of minutes around it."""
    began = datetime(2025, 1, 1, tzinfo=UTC)
    customers = [make_customer() for _ in range(200)]
    table, index = {
        "orders": ("counter_syncorder", "sync_order_customer"),
        "positions": ("counter_position", "position_customer"),
    }[path]
    with connection.cursor() as cursor:
        cursor.execute(HISTORY, [[customer.pk for customer in customers], make_option().pk, began])
        cursor.execute(f"ANALYZE {table}")
    client = Client()
    client.force_login(customers[0].user)
    times = {"from": began + timedelta(minutes=10_000), "to": began + timedelta(minutes=12_000)}
    recorder = Recorder()
    with recorder.installed(), recorder.during("list"):
        answer = client.get(f"/api/v1/{path}", {name: at.isoformat() for name, at in times.items()})
    assert rows(row["id"] for row in answer.json()["results"]) == list(range(11_800, 9_999, -200))
    [listing] = [each for each in recorder.explained if f'"{table}"' in each.sql]
    for plan in (listing.custom, listing.generic):
        assert {node.index for node in nodes(plan) if node.table == table} == {index}
    assert sum(node.rows + node.rows_in_vain for node in nodes(listing.custom) if node.table == table) <= 11
    for each in recorder.explained:
        assert sum(node.rows_in_vain for node in nodes(each.custom)) <= 1, each.sql


# So many positions that are over, and one of each option that is not.
PAST = """
    INSERT INTO counter_position
        (id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at)
    SELECT n, %s, (%s::bigint[])[1 + n %% 20], 5, CASE WHEN n > 30000 THEN 5 ELSE 0 END, 0, 20, 3,
           CASE WHEN n > 30000 THEN 'OPEN' ELSE 'CLOSED' END, now()
    FROM generate_series(1, 30020) AS n
"""


@pytest.mark.parametrize("opened", [False, True], ids=["the page", "an option's positions"])
def test_what_a_customer_holds_is_read_past_what_is_over(transactional_db, opened):
    """By plan: nothing that is over is read, also by a prepared plan for any customer."""
    options = [make_option() for _ in range(20)]
    customer = make_customer()
    with connection.cursor() as cursor:
        cursor.execute(PAST, [customer.pk, [option.pk for option in options]])
        cursor.execute("ANALYZE counter_position")
    client = Client()
    client.force_login(customer.user)
    recorder = Recorder()
    with recorder.installed(), recorder.during("book"):
        answer = client.get("/trade/book/", {"opened": options[0].symbol} if opened else {})
    assert answer.status_code == 200
    asked = [each for each in recorder.explained if '"counter_position"' in each.sql]
    assert asked
    for each in asked:
        for plan in (each.custom, each.generic):
            assert {node.index for node in nodes(plan)} == {"position_living"}, each.sql
        assert sum(node.rows + node.rows_in_vain for node in nodes(each.custom)) <= 20

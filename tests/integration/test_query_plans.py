"""Each query of the systems is answered by an index: seen on tables that are worth one."""

import pytest
from django.db import connection

from acceptance import counter_client
from tests.support.databases import environment
from tools.bench.history import fill
from tools.bench.plans import operations
from tools.bench.plans.judging import faults, large_tables
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
    operations.run_all(operations.Ground(venue=venue, orders=20, named=recorder.during))
    large = large_tables()
    assert large.keys() >= GROWN
    asked = [explained for explained in recorder.explained if explained.operation not in operations.READS_ALL]
    assert len(asked) > 200
    found = {(each.operation, each.sql): faults(each, large) for each in asked}
    assert {key: faulty for key, faulty in found.items() if faulty} == {}

    with recorder.during("a search that no index serves"), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM counter_syncorder WHERE symbol = %s", ["BTC"])
    assert faults(recorder.explained[-1], large) == ["reads counter_syncorder whole"]

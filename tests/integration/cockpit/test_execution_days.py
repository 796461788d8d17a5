"""Sums of executions by day are those of the rows, in every digit, after every change of the rows."""

import random
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import partial

import pytest
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader

from cockpit import best_execution
from ledger.decimals import EXACT, ROUNDED
from settlement.conversions.execution.gains import Gain
from settlement.models import Execution, ExecutionDay
from tests.support.threads import at_once
from tools.bench.plans.judging import nodes
from tools.bench.plans.recording import Recorder

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DAYS = {"first": NOON.date() - timedelta(days=40), "last": NOON.date() + timedelta(days=40)}
DIGIT = Decimal("0.00000001")


def some(rng, number, **changes):
    """An execution with every digit, some benchmarks unknown, on one of some days."""
    price = EXACT.multiply(Decimal(rng.randint(8 * 10**12, 10**13)), DIGIT)
    coin = EXACT.multiply(Decimal(rng.randint(1, 10**10)), DIGIT)
    near = [EXACT.add(price, EXACT.multiply(Decimal(rng.randint(-(10**10), 10**10)), DIGIT)) for _ in "123"]
    known = rng.random() < 0.5
    usual = {
        "conversion_id": number,
        "underlying": rng.choice(["BTC", "ETH"]),
        "side": rng.choice(["buy", "sell"]),
        "coin": coin,
        "usdt": EXACT.multiply(coin, price).quantize(DIGIT, ROUND_DOWN, ROUNDED),
        "minute": NOON + timedelta(minutes=rng.randint(-3000, 3000)),
        "due_at": NOON,
        "order_price": near[0] if rng.random() < 0.7 else None,
        "sent_price": near[1] if rng.random() < 0.7 else None,
        "answer": "KNOWN" if known else rng.choice(["AWAITED", "NONE"]),
        "minute_price": near[2] if known else None,
        "minute_coin": coin if known else None,
    }
    return Execution(**usual | changes)


def rows_say():
    """The same sums, one conversion after the other by the formula."""
    found = {}
    for row in Execution.objects.all():
        sums = found.setdefault((row.minute.astimezone(UTC).date(), row.underlying), [0, 0, 0, 0, {}])
        sums[0] += 1
        sums[1] += row.answer == "AWAITED"
        sums[2], sums[3] = EXACT.add(Decimal(sums[2]), row.coin), EXACT.add(Decimal(sums[3]), row.usdt)
        for name, gained in best_execution.gains_of(row).items():
            sums[4][name] = sums[4].get(name, Gain()) + (gained or Gain())
    return {key: tuple(sums) for key, sums in found.items()}


def rollup_says():
    return {
        (each.day, each.coin): (each.conversions, each.awaited, each.amount, each.usdt, each.gains)
        for each in best_execution.by_day(**DAYS)
    }


@pytest.fixture
def rng():
    return random.Random(19)


def test_the_rollup_is_what_the_rows_say_after_every_change(rng):
    Execution.objects.bulk_create([some(rng, number) for number in range(1, 121)])
    assert rollup_says() == rows_say()
    # The venue answers for many at once; one is asked again; one is of another day than thought; some are gone.
    Execution.objects.filter(answer="AWAITED", pk__lt=60).update(
        answer="KNOWN", minute_price=Decimal("91234.56789012"), minute_coin=5
    )
    Execution.objects.filter(answer="AWAITED").update(due_at=NOON + timedelta(hours=1))
    Execution.objects.filter(pk__in=[3, 4]).update(minute=NOON - timedelta(days=2))
    assert rollup_says() == rows_say()
    Execution.objects.filter(pk__gt=100).delete()
    assert rollup_says() == rows_say()
    Execution.objects.all().delete()
    assert rollup_says() == {} == rows_say()


def test_what_is_entered_twice_or_undone_counts_once_or_not_at_all(rng):
    Execution.objects.bulk_create([some(rng, 1)])
    Execution.objects.bulk_create([some(rng, 1), some(rng, 2)], ignore_conflicts=True)
    with transaction.atomic(using="desk"):
        Execution.objects.bulk_create([some(rng, 3)])
        transaction.set_rollback(True, using="desk")
    assert rollup_says() == rows_say()
    assert sum(conversions for conversions, *_ in rollup_says().values()) == 2


def test_a_late_execution_is_in_its_day_and_midnight_is_that_of_utc(rng):
    """In the hour that Berlin has twice or not at all, too."""
    for number, minute in enumerate(
        (
            datetime(2026, 10, 24, 23, 59, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 0, tzinfo=UTC),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 23, 59, tzinfo=UTC),
        ),
        start=1,
    ):
        some(rng, number, minute=minute, underlying="BTC").save(force_insert=True)
    with connections["desk"].cursor() as cursor:
        cursor.execute("SET timezone = 'Europe/Berlin'")
        try:
            some(rng, 5, minute=datetime(2026, 10, 25, 22, 30, tzinfo=UTC), underlying="BTC").save()
            days = dict(ExecutionDay.objects.values_list("day", "conversions"))
        finally:
            cursor.execute("SET timezone = 'UTC'")
    assert {str(day): count for day, count in days.items()} == {"2026-10-24": 1, "2026-10-25": 4}


def in_statements(rows):
    """Each statement a transaction, as the worker writes."""
    for first in range(0, len(rows), 20):
        Execution.objects.bulk_create(rows[first : first + 20])


def test_two_who_write_the_same_days_at_once_lose_nothing(rng):
    parts = [[some(rng, 1000 * part + number) for number in range(1, 200)] for part in range(4)]
    at_once([partial(in_statements, part) for part in parts])
    assert rollup_says() == rows_say()


def test_the_migration_adds_up_what_there_was(rng):
    Execution.objects.bulk_create([some(rng, number) for number in range(1, 50)])
    was = rollup_says()
    ExecutionDay.objects.all().delete()
    migration = MigrationLoader(None).disk_migrations["settlement", "0026_execution_days"]
    with connections["desk"].cursor() as cursor:
        cursor.execute(migration.operations[-1].sql)
    assert rollup_says() == was == rows_say()


FILL = """
    INSERT INTO settlement_execution
        (conversion_id, venue, underlying, side, coin, usdt, minute, sent_price, answer, due_at)
    SELECT n, 'binance', 'BTC', 'buy', 1, 90000 + n %% 997, %s::timestamptz - n * interval '1 minute', 90400,
           'NONE', now()
    FROM generate_series(1, 40000) AS n
"""


def test_page_and_file_read_no_more_than_they_show():
    """By plan, also by a prepared one: the sums read no execution, the worst a few of each day, the file its rows."""
    with connections["desk"].cursor() as cursor:
        cursor.execute(FILL, [NOON])
        cursor.execute("ANALYZE settlement_execution")
    recorder, days = Recorder(), {"first": NOON.date() - timedelta(days=6), "last": NOON.date()}
    with recorder.installed(), recorder.during("page"):
        assert len(best_execution.by_day(**days)) == 7
        worst = best_execution.worst(**days, count=10)
    assert [row.usdt for row in worst] == [Decimal(90_996)] * 9 + [Decimal(90_995)]
    reads = [each for asked in recorder.explained for each in nodes(asked.custom)]
    assert sum(each.rows + each.rows_in_vain for each in reads if each.table == "settlement_execution") <= 80
    prepared = [each for asked in recorder.explained if asked.generic for each in nodes(asked.generic)]
    assert {each.kind for each in prepared if each.table == "settlement_execution"} <= {
        "Index Scan",
        "Bitmap Heap Scan",
    }
    assert {each.index for each in reads if each.table == "settlement_execution"} == {
        "execution_lost",
        "settlement_execution_pkey",
    }
    with recorder.installed(), recorder.during("file"):
        lines = "".join(best_execution.file_of(**days)).count("\n")
    reads = [
        each
        for asked in recorder.explained
        if asked.operation == "file"
        for each in nodes(asked.custom)
        if each.table == "settlement_execution"
    ]
    assert {each.index for each in reads} == {"execution_minute"}
    assert sum(each.rows + each.rows_in_vain for each in reads) <= lines

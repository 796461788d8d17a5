"""A statement names its states in its text; a value that is no word stays a parameter."""

import pytest
from django.apps import apps
from django.db import connections, models
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext
from django_fsm import FSMField

from acceptance.models import AcceptedOrder
from infra.db.literal_states import STATE as STATE_WORD
from settlement.models import Conversion

pytestmark = pytest.mark.django_db(databases=["desk"])
STATE = Conversion.State


@pytest.mark.parametrize(
    ("rows", "condition"),
    [
        (Conversion.objects.filter(state=STATE.FILLED), "\"state\" = 'FILLED'"),
        (Conversion.objects.filter(state="FILLED"), "\"state\" = 'FILLED'"),
        (
            Conversion.objects.exclude(state=STATE.BOOKED),
            'NOT ("settlement_conversion"."state" = \'BOOKED\')',
        ),
        (
            Conversion.objects.filter(state__in=[STATE.UNKNOWN, STATE.MANUAL]),
            "\"state\" IN ('UNKNOWN', 'MANUAL')",
        ),
        (AcceptedOrder.objects.filter(models.Q(state="SETTLED") | models.Q(pk=1)), "\"state\" = 'SETTLED'"),
    ],
)
def test_a_state_is_written_out(rows, condition):
    sql, parameters = rows.query.sql_with_params()
    assert condition in sql
    assert not {"FILLED", "BOOKED", "UNKNOWN", "MANUAL", "SETTLED"} & set(parameters)
    assert list(rows) == []


@pytest.mark.parametrize("hostile", ["x' OR '1'='1", "100%", "%s", "", "FILLED ", "ünbekannt"])
def test_what_is_no_word_stays_a_parameter(hostile):
    for rows in (
        Conversion.objects.filter(state=hostile),
        Conversion.objects.filter(state__in=[hostile, "FILLED"]),
    ):
        sql, parameters = rows.query.sql_with_params()
        assert "'" not in sql
        assert hostile in parameters
        assert list(rows) == []


def test_states_of_other_rows_are_compared_as_ever():
    inner = Conversion.objects.filter(underlying="%", state=STATE.FILLED).values("state")
    for rows in (
        Conversion.objects.filter(state__in=inner),
        Conversion.objects.filter(state=models.F("side")),
        Conversion.objects.filter(state=models.Value("FILLED")),
        Conversion.objects.filter(state__in=[models.F("side"), STATE.FILLED]),
        Conversion.objects.filter(state__in=[RawSQL("replace('a%%b', '%%', %s)", ["x"]), STATE.FILLED]),
    ):
        assert list(rows) == []


def test_every_state_of_the_systems_is_a_word():
    """One that is none would be planned for any value, and its index would not be used."""
    states = [
        state
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, FSMField)
        for state, _ in field.flatchoices
    ]
    assert len(states) > 50
    assert [state for state in states if not STATE_WORD.fullmatch(state)] == []


def test_an_index_of_a_state_serves_a_statement_that_is_planned_for_any_value():
    # In no order: by `id` a planner that knows little of the table may as well read its primary key.
    waiting = AcceptedOrder.objects.filter(state="RECEIVED", underlying="BTC")
    sql, _ = waiting.query.sql_with_params()
    with connections["desk"].cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (GENERIC_PLAN) {sql.replace('%s', '$1')}")
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "accepted_order_received" in plan
    assert "Filter" not in plan
    with CaptureQueriesContext(connections["desk"]) as asked:
        list(waiting)
    assert "'RECEIVED'" in asked[0]["sql"]

"""Every value arrives in the database as it was, with any characters."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, connection, transaction
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from acceptance.models import AcceptedOrder
from infra.db.arrays import array, columns
from tests.support.examples import examples

pytestmark = pytest.mark.django_db

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40, places=12)
MOMENTS = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)


def stored(values: Any, kind: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT v FROM unnest(%s::{kind}[]) AS v", [array(values)])
        return [row[0] for row in cursor.fetchall()]


@hypothesis_settings(
    max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.none() | TEXTS, max_size=6))
@example(
    values=[
        "null",
        "NULL",
        "",
        " ",
        "{}",
        ",",
        '"',
        "\\",
        '\\"',
        "\\n",
        "\n\t\r\b\f\x01\x7f",
        "ü\u2028😀",
        None,
    ]
)
def test_text_arrives_as_it_was(values):
    assert stored(values, "text") == values


@hypothesis_settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.none() | AMOUNTS, max_size=6))
@example(values=[Decimal("1E+3"), Decimal("-0.00000001"), Decimal("0E-8"), Decimal("123456789012.12345678")])
def test_amounts_arrive_to_the_last_digit(values):
    assert stored(values, "numeric") == values


@hypothesis_settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.none() | MOMENTS, max_size=6))
def test_moments_of_any_zone_arrive_to_the_microsecond(values):
    assert stored(values, "timestamptz") == values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**63 - 1, -(2**63), None], "bigint"),
        ([True, False, None], "boolean"),
        ([UUID(int=7)], "uuid"),
        ([AcceptedOrder.State.RECEIVED], "varchar"),
        ((1, 2), "bigint"),
        ([], "numeric"),
    ],
)
def test_other_types_arrive_as_they_were(values, kind):
    assert stored(values, kind) == list(values)


def test_text_that_no_column_can_hold_is_refused():
    with pytest.raises(DataError), transaction.atomic():
        stored(["a\0b"], "text")


def test_columns_are_read_off_the_rows_by_name():
    rows = [SimpleNamespace(id=1, name="a"), SimpleNamespace(id=2, name=None)]
    assert columns(rows, ["name", "id"]) == ['{"a",null}', "{1,2}"]
    assert columns([], ["name", "id"]) == ["{}", "{}"]

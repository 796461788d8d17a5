"""Malformed and hostile messages, to the desk and to counter: refused by a documented error, or taken whole.

Arbitrary bytes, and valid messages with something cut out, put in or exchanged, in their bytes or in their fields.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.conf import settings as project
from django.db import connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance.intake import CONTENT, ingest
from acceptance.models import AcceptedOrder, Conflict
from counter.contracts import (
    Acknowledgement,
    SettlementBatch,
    SettlementReport,
    SyncBatch,
    SyncEvent,
    decode,
    encode,
)
from counter.models import Account, SyncOrder, Transfer
from tests.support.desk_bench import event
from tests.support.examples import examples
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.signing import SignedClient

ANY = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

NUMBERS = st.sampled_from(
    [0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**400, 1.5, 1e308, float("nan"), float("inf"), -0.0]
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            *(
                "",
                "NaN",
                "sNaN",
                "-Infinity",
                "1e999999",
                "1e-999999",
                "0x1",
                "١",
                "\x00",
                "x\x00y",
                "x" * 40,
            ),
            *("1" * 400, "-1", "0", "1.123456789", "BTC", "ETH", "OPEN", "CLOSE", "at_fill", "instant"),
            *("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00+23:59"),
            *("2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "crossbook"),
        ]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.integers(), st.floats())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@st.composite
def mutated(draw: Any, valid: bytes) -> bytes:
    """A valid message with some of its bytes or fields changed, or no message at all."""
    how = draw(st.sampled_from(["fields", "fields", "fields", "bytes", "nothing", "anything"]))
    if how == "anything":
        return draw(st.binary(max_size=200))
    raw = bytearray(valid)
    if how == "bytes":
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, len(raw)))
            end = min(len(raw), start + draw(st.integers(0, 12)))
            raw[start:end] = draw(st.binary(max_size=8))
    if how == "fields":
        message = json.loads(valid)
        [entries] = [value for value in message.values() if isinstance(value, list)]
        for _ in range(draw(st.integers(1, 3))):
            inside = [entry for entry in entries if isinstance(entry, dict)]
            place = draw(st.sampled_from([message, *inside, *inside]))
            name = draw(st.sampled_from([*place, "unknown"]))
            if draw(st.booleans()):
                place[name] = draw(VALUES)
            else:
                place.pop(name, None)
        raw = bytearray(json.dumps(message).encode("utf-8", "surrogatepass"))
    return bytes(raw)


# --- the desk's intake ------------------------------------------------------------------------------------------------


AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
VALID = encode(
    SyncBatch(
        events=[
            event(order_id=1, placed_at=AT),
            event(order_id=2, placed_at=AT, underlying="ETH", payout="at_fill"),
            event(order_id=3, placed_at=AT, kind="CLOSE"),
        ]
    )
)


@pytest.mark.django_db(databases=["desk"])
@ANY
@given(raw=mutated(VALID), door=st.sampled_from(list(AcceptedOrder.Door)))
def test_intake_takes_what_is_valid_and_keeps_aside_what_is_not(raw, door):
    try:
        events = decode(raw, SyncBatch).events
    except msgspec.DecodeError:  # the documented one, of which ValidationError is a kind
        events = []
    sound = event(order_id=4)  # beside it
    with transaction.atomic(using="desk"):
        take([*events, sound], door)
        assert AcceptedOrder.objects.filter(order_id=4).exists(), "a bad event must not stop those beside it"
        transaction.set_rollback(True, using="desk")


def take(events: list[SyncEvent], door: AcceptedOrder.Door) -> None:
    """Take events in twice: each is stored as it came, known, or kept aside, and the second time nothing is new."""
    intake = ingest(events=events, door=door, now=AT)
    held = stored()
    assert set(held) == set(intake.accepted) >= set(intake.known)
    assert len(held) == len(intake.accepted)
    assert {*held, *intake.conflicts} == {each.order_id for each in events}
    came = {content_of(each) for each in events}
    assert set(held.values()) <= came
    aside = Conflict.objects.count()
    again = ingest(events=events, door=door, now=AT)
    assert (again.accepted, stored(), Conflict.objects.count()) == ([], held, aside)
    assert set(again.known) == set(held)


def stored() -> dict[int, tuple[Any, ...]]:
    return {row[1]: row for row in AcceptedOrder.objects.values_list(*CONTENT)}


def content_of(each: Any) -> tuple[Any, ...]:
    return tuple(getattr(each, name) for name in CONTENT)


# --- counter's internal API -------------------------------------------------------------------------------------------


@pytest.fixture
def orders(db):
    """Two opens and a close whose payout waits for its fill."""
    customer, option = make_customer(), make_option()
    opened = [place_open(customer, option, contracts=2), place_open(customer, option)]
    return [*opened, place_close(opened[0], contracts=1, payout="at_fill")]


def reports_of(orders: Any) -> bytes:
    return encode(
        SettlementBatch(
            source=project.COUNTER_SOURCE,
            reports=[
                SettlementReport(
                    order_id=order.id,
                    conversion_id=7,
                    price=order.index_price,
                    value=Decimal("22.50000000"),
                    fee=Decimal("0.01000000"),
                    due=order.fair,
                    settled_at=order.placed_at,
                )
                for order in orders
            ],
        )
    )


def is_answered(answer: Any) -> bool:
    """True for 200; otherwise it is a refusal with a documented code."""
    if answer.status_code == 200:
        return True
    code = answer.json()["error"]["code"]
    # The test client sends no content type with an empty body.
    assert (answer.status_code, code) in {
        *((400, "malformed_json"), (400, "invalid_request"), (415, "unsupported_media_type")),
    }
    return False


@ANY
@given(data=st.data())
def test_counter_takes_a_report_as_a_whole_or_not_at_all(orders, data):
    raw = data.draw(mutated(reports_of(orders)))
    settled = settled_orders()
    answer = SignedClient().post("/internal/v1/settlements", raw)
    if is_answered(answer):
        body = answer.json()
        assert settled_orders() - settled <= set(body["taken"])
        assert set(body["taken"]) <= settled_orders()
        assert not set(body["taken"]) & set(body["refused"])
    else:
        assert settled_orders() == settled
    assert_books_balance()


@ANY
@given(data=st.data())
def test_counter_takes_acknowledgements_of_its_orders_only(orders, data):
    ids = [order.id for order in orders]
    raw = data.draw(mutated(encode(Acknowledgement(source=project.COUNTER_SOURCE, order_ids=ids))))
    pending = set(SyncOrder.objects.filter(state="PENDING").values_list("id", flat=True))
    answer = SignedClient().post("/internal/v1/sync-orders/ack", raw)
    left = set(SyncOrder.objects.filter(state="PENDING").values_list("id", flat=True))
    if is_answered(answer):
        assert answer.json() == {"acknowledged": len(pending - left)}
        assert pending - left <= set(json.loads(raw)["order_ids"])
    else:
        assert left == pending


def settled_orders() -> set[int]:
    return set(SyncOrder.objects.filter(state="SETTLED").values_list("id", flat=True))


def assert_books_balance() -> None:
    """Each balance is the sum of its transfers, and none is negative."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            f"""
            SELECT a.id, a.balance, coalesce(sum(
                CASE WHEN t.credit_account_id = a.id THEN t.amount ELSE -t.amount END), 0)
            FROM {Account._meta.db_table} AS a
            JOIN {Transfer._meta.db_table} AS t ON a.id IN (t.debit_account_id, t.credit_account_id)
            WHERE a.balance IS NOT NULL GROUP BY a.id
            """
        )
        for _, balance, moved in cursor.fetchall():
            assert balance == moved >= 0

"""Bulk moves obey the graph that the models declare, and nothing else."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_fsm import RETURN_VALUE, FSMField, transition

from acceptance.models import AcceptedOrder
from infra.db.transitions import TransitionNotDeclared, move, sources_and_target
from settlement.models import Conversion
from tests.support.desk_bench import at_once, event, take_in

pytestmark = pytest.mark.django_db(databases=["default", "desk"])

State = AcceptedOrder.State


def orders(count: int) -> list[int]:
    take_in(*(event() for _ in range(count)))
    return list(AcceptedOrder.objects.order_by("id").values_list("id", flat=True))


def conversion(**changes: Any) -> Conversion:
    zero = Decimal(0)
    return Conversion.objects.create(
        **{
            "underlying": "BTC",
            "order_count": 0,
            "bought": zero,
            "sold": zero,
            "crossed": zero,
            "carry_in_coin": zero,
            "carry_in_usdt": zero,
            "reference_price": Decimal(1),
            "quantity": zero,
            "client_order_id": f"test{Conversion.objects.count()}",
            "planned_at": timezone.now(),
        }
        | changes
    )


def test_only_rows_in_a_source_state_move_and_their_ids_are_told():
    first, second, third = orders(3)
    AcceptedOrder.objects.filter(pk=second).update(state=State.SETTLED)

    moved = move(AcceptedOrder, AcceptedOrder.convert, [first, second, third, 10**9])

    assert sorted(moved) == [first, third]
    states = dict(AcceptedOrder.objects.values_list("id", "state"))
    assert states == {first: State.CONVERTING, second: State.SETTLED, third: State.CONVERTING}


def test_same_sets_one_value_and_each_sets_one_for_each_id():
    first, second = orders(2)
    now = timezone.now()
    moments = [now, now + timedelta(hours=1)]

    move(
        AcceptedOrder,
        AcceptedOrder.convert,
        [second, first],
        same={"conversion_id": 7},
        each={"converting_at": moments},
    )

    rows = dict(AcceptedOrder.objects.filter(conversion_id=7).values_list("id", "converting_at"))
    assert rows == {second: moments[0], first: moments[1]}


def test_a_guard_that_does_not_hold_leaves_the_row_alone():
    row = conversion()
    assert move(Conversion, Conversion.submit, [row.pk], where={"version": 1}) == []
    assert move(Conversion, Conversion.submit, [row.pk], where={"version": 0}) == [row.pk]


def test_every_move_raises_the_version_by_one():
    row = conversion(version=4)
    move(Conversion, Conversion.submit, [row.pk], same={"limit_price": Decimal("90000.01")})
    row.refresh_from_db()
    assert (row.state, row.version, row.limit_price) == ("SUBMITTED", 5, Decimal("90000.01"))


def test_no_ids_ask_nothing_of_the_database():
    with CaptureQueriesContext(connections["desk"]) as queries:
        assert move(AcceptedOrder, AcceptedOrder.convert, []) == []
    assert not queries.captured_queries


def test_values_that_do_not_match_the_ids_are_refused():
    with pytest.raises(ValueError, match="one value per id"):
        move(AcceptedOrder, AcceptedOrder.convert, [1, 2], each={"conversion_id": [1]})


class Wild(models.Model):
    """A lifecycle as none of ours may be."""

    state = FSMField(default="RECEIVED")

    class Meta:
        app_label, managed = "tests", False

    @transition(field=state, source="*", target="REPORTED")
    def from_anywhere(self) -> None: ...

    @transition(field=state, source="+", target="REPORTED")
    def from_anywhere_else(self) -> None: ...

    @transition(field=state, source="RECEIVED", target=RETURN_VALUE("CONVERTING", "SETTLED"))
    def to_undeclared_values(self) -> None: ...

    @transition(field=state, source="RECEIVED", target="SETTLED", conditions=[lambda row: row.pk is not None])
    def if_stored(self) -> None: ...

    def undeclared(self) -> None: ...


@pytest.mark.parametrize(
    "method", [Wild.from_anywhere, Wild.from_anywhere_else, Wild.to_undeclared_values, Wild.undeclared]
)
def test_what_is_no_transition_with_listed_sources_and_one_target_is_refused(method):
    with pytest.raises(TransitionNotDeclared):
        sources_and_target(Wild, method)


def test_a_transition_of_another_model_is_refused():
    with pytest.raises(TransitionNotDeclared, match="no transition of AcceptedOrder"):
        move(AcceptedOrder, Conversion.submit, [1])


def test_many_rows_do_not_move_through_what_has_conditions():
    with pytest.raises(TransitionNotDeclared, match="conditions"):
        move(Wild, Wild.if_stored, [1])


def test_an_unknown_conversion_has_no_way_back_to_being_sent():
    _, sources, target = sources_and_target(Conversion, Conversion.submit)
    assert target == "SUBMITTED"
    assert set(sources) == {"PLANNED", "RETRY_WAIT"}


@pytest.mark.django_db(transaction=True, databases=["default", "desk"])
def test_of_two_who_move_the_same_rows_each_row_moves_for_one(broker_url):
    ids = orders(50)

    def claim(conversion_id: int) -> list[int]:
        return move(AcceptedOrder, AcceptedOrder.convert, ids, same={"conversion_id": conversion_id})

    first, second = at_once(lambda: claim(1), lambda: claim(2))

    assert sorted(first + second) == ids
    assert AcceptedOrder.objects.filter(conversion_id=1).count() == len(first)

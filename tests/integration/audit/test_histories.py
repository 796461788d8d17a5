"""Invariant 7: a step that the graph does not have, a gap, a state without its history or its times are found."""

from acceptance.models import AcceptedOrder
from tests.support.tampering import broken, execute, tampered

NO_PATH = "history is no legal path"
INSERT = "INSERT INTO settlement_statechange (subject, subject_id, from_state, to_state, at, by, why) VALUES"
STEPS = "acceptance_orderstep"
ACCEPTED, PLACED = "acceptance_acceptedorder", "counter_syncorder"
LONG_AGO = "placed_at - interval '1 hour'"


def test_conversion_with_an_illegal_history_is_found(past, check):
    first, log = past.conversion_ids[0], "settlement_statechange"
    of_first = f"WHERE subject = 'conversion' AND subject_id = {first}"
    for table, change in (
        (log, f"DELETE FROM {log} {of_first} AND to_state = 'SUBMITTED'"),
        (log, f"DELETE FROM {log} {of_first} AND to_state = 'PLANNED'"),
        (log, f"DELETE FROM {log} {of_first} AND to_state = 'BOOKED'"),
        (log, f"DELETE FROM {log} {of_first}"),
        (log, f"UPDATE {log} SET to_state = 'MISSED' {of_first} AND to_state = 'FILLED'"),
        (
            log,
            f"{INSERT} ('conversion', {first}, 'BOOKED', 'PLANNED', now(), 'x', ''),"
            f"('conversion', {first}, 'PLANNED', 'BOOKED', now(), 'x', '')",
        ),
        ("settlement_conversion", f"UPDATE settlement_conversion SET state = 'MANUAL' WHERE id = {first}"),
    ):
        with tampered("desk", table, change):
            found = broken(check())[7]
        assert found == {(NO_PATH, f"conversion {first}")}, change


def test_history_of_what_never_was_is_found(past, check):
    change = f"{INSERT} ('funds_transfer', 77, '', 'PLANNED', now(), 'x', '')"
    with tampered("desk", "settlement_statechange", change):
        assert broken(check()) == {7: {(NO_PATH, "funds transfer 77")}}


def test_order_whose_times_do_not_fit_its_state_is_found(past, check):
    for side, alias, table, change in (
        ("desk", "desk", ACCEPTED, f"SET reported_at = NULL WHERE order_id = {past.opened.id}"),
        ("desk", "desk", ACCEPTED, f"SET converting_at = {LONG_AGO} WHERE order_id = {past.opened.id}"),
        ("counter", "default", PLACED, f"SET synced_at = NULL WHERE id = {past.opened.id}"),
        ("counter", "default", PLACED, f"SET synced_at = {LONG_AGO} WHERE id = {past.opened.id}"),
    ):
        with tampered(alias, table, f"UPDATE {table} {change}"):
            found = broken(check())
        what = f"order's times do not fit its state at the {side}"
        assert found == {7: {(what, f"order {past.opened.id}")}}, change


def test_position_that_does_not_fit_its_orders_is_found(past, check):
    table, position_id = "counter_position", past.opened.position_id
    for change in (
        f"UPDATE {table} SET remaining = remaining - 1 WHERE id = %s",
        f"UPDATE {table} SET unpaid = 1 WHERE id = %s",
        f"UPDATE {table} SET state = 'CLOSED' WHERE id = %s",
        f"UPDATE {table} SET proceeds = proceeds + 1 WHERE id = %s",
        f"UPDATE {table} SET cost = cost + 1 WHERE id = %s",
        f"DELETE FROM {table} WHERE id = %s",
    ):
        with tampered("default", table, change, [position_id]):
            found = broken(check())
        assert found == {7: {("position does not fit its orders", f"position {position_id}")}}, change


def row_id(order) -> int:
    return AcceptedOrder.objects.get(order_id=order.id).pk


def test_order_whose_steps_are_no_path_to_its_state_is_found(past, check):
    order = row_id(past.opened)
    of_it = f"WHERE order_id = {order}"
    for table, change in (
        (STEPS, f"DELETE FROM {STEPS} {of_it}"),
        *((STEPS, f"DELETE FROM {STEPS} {of_it} AND number = {number}") for number in (1, 2, 3, 4)),
        (STEPS, f"UPDATE {STEPS} SET to_state = 'DISOWNED' {of_it} AND number = 4"),
        (STEPS, f"UPDATE {STEPS} SET to_state = 'SETTLED', from_state = 'RECEIVED' {of_it} AND number = 2"),
        (STEPS, f"UPDATE {STEPS} SET from_state = '' {of_it} AND number = 3"),
        (STEPS, f"INSERT INTO {STEPS} VALUES ({order}, 5, 'REPORTED', 'SETTLED', NULL, now())"),
        (ACCEPTED, f"UPDATE {ACCEPTED} SET state = 'SETTLED', reported_at = NULL WHERE id = {order}"),
        (ACCEPTED, f"UPDATE {ACCEPTED} SET version = 5 WHERE id = {order}"),
    ):
        with tampered("desk", table, change):
            found = broken(check())[7]
        assert found == {(NO_PATH, f"accepted order {order}")}, change


def test_steps_that_two_orders_have_exchanged_are_found(past, check):
    """Their numbers and states are right together, and wrong for each."""
    one, other = row_id(past.opened), row_id(past.closed)
    change = f"UPDATE {STEPS} SET order_id = {other}, number = 9 WHERE order_id = {one} AND number = 4"
    with tampered("desk", STEPS, change):
        assert broken(check())[7] == {(NO_PATH, f"accepted order {each}") for each in (one, other)}


def test_steps_of_an_order_that_never_was_are_found(past, check):
    with tampered("desk", STEPS, f"INSERT INTO {STEPS} VALUES (77000, 1, '', 'RECEIVED', NULL, now())"):
        assert broken(check()) == {7: {(NO_PATH, "accepted order 77000")}}


def test_orders_that_are_older_than_the_log_may_begin_anywhere_and_are_told(past, check):
    """As a release finds them: without steps, or moved on since; a gap after that is one."""
    newest, order = AcceptedOrder.objects.latest("pk").pk, row_id(past.opened)
    begin = "acceptance_orderstepsbegin"
    assert check().result(7).notes == []
    with (
        tampered("desk", begin, f"UPDATE {begin} SET after_id = {newest}"),
        tampered("desk", STEPS, f"DELETE FROM {STEPS}"),
        tampered("desk", ACCEPTED, f"UPDATE {ACCEPTED} SET version = 0"),
    ):
        report = check()
        assert broken(report) == {}
        orders = AcceptedOrder.objects.count()
        assert report.result(7).notes == [f"{orders} accepted orders are older than the log of their steps"]
        assert execute("desk", f"UPDATE {ACCEPTED} SET version = 1 WHERE id = {order}") == 1
        assert broken(check()) == {7: {(NO_PATH, f"accepted order {order}")}}
        told = f"INSERT INTO {STEPS} VALUES ({order}, 1, 'SETTLED', 'REPORTED', NULL, now())"
        assert execute("desk", told) == 1
        assert broken(check()) == {}

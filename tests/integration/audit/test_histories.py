"""Invariant 7: a step that the graph does not have, a gap, a state without its history or its times are found."""

from tests.support.tampering import broken, tampered

NO_PATH = "history is no legal path"
INSERT = "INSERT INTO settlement_statechange (subject, subject_id, from_state, to_state, at, by, why) VALUES"
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

"""Invariant 3: an order that the two sides do not hold alike, once each, is found on whichever side it is wrong."""

from tests.support.tampering import broken, tampered

ACCEPTED, PLACED = "acceptance_acceptedorder", "counter_syncorder"
COPY = """
    INSERT INTO acceptance_acceptedorder (
        source, order_id, kind, symbol, underlying, contracts, coin, index_price, fair, payout, placed_at, door, state,
        received_at)
    SELECT source, order_id, kind, symbol, underlying, contracts, coin, index_price, fair, payout, placed_at, 'import',
           'RECEIVED', now()
    FROM acceptance_acceptedorder WHERE order_id = %s
"""


def test_other_content_at_the_desk_is_found(past, check):
    order_id = past.closed.id
    change = "UPDATE acceptance_acceptedorder SET index_price = index_price + 0.00000001 WHERE order_id = %s"
    with tampered("desk", ACCEPTED, change, [order_id]):
        report = check()
    assert broken(report) == {3: {("order has other content at the desk", f"order {order_id}")}}
    (finding,) = report.result(3).broken.listed
    assert finding.detail == "index_price 90000.00000000 at counter, 90000.00000001 at the desk"


def test_order_that_the_desk_lost_is_found(past, check):
    order_id = past.opened.id
    with tampered("desk", ACCEPTED, "DELETE FROM acceptance_acceptedorder WHERE order_id = %s", [order_id]):
        found = broken(check())
    assert found[3] == {("order is not at the desk", f"order {order_id}")}


def test_order_that_counter_never_placed_is_found(past, check, settings):
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0  # it is too old to be missed by counter's snapshot only
    order_id = past.opened.id
    with tampered("default", PLACED, "DELETE FROM counter_syncorder WHERE id = %s", [order_id]):
        found = broken(check())
    assert found[3] == {("order was never placed at counter", f"order {order_id}")}


def test_order_of_another_source_is_found(past, check):
    order_id = past.opened.id
    change = "UPDATE acceptance_acceptedorder SET source = 'elsewhere' WHERE order_id = %s"
    with tampered("desk", ACCEPTED, change, [order_id]):
        found = broken(check())
    assert found[3] == {
        ("order is of another source", f"elsewhere/{order_id}"),
        ("order is not at the desk", f"order {order_id}"),
    }


def test_order_held_twice_is_found(past, check):
    order_id = past.opened.id
    with tampered(
        "desk",
        ACCEPTED,
        COPY,
        [order_id],
        without="accepted_order_once",
        constraint="UNIQUE (source, order_id)",
    ):
        found = broken(check())
    assert ("order is at the desk twice", f"order {order_id}") in found[3]


def test_conflict_is_broken_until_somebody_resolves_it(past, check):
    order_id = past.opened.id
    note = """INSERT INTO acceptance_conflict (source, order_id, reason, received, digest, door, noted_at, resolution,
                                               resolved_at)
              VALUES ('crossbook', %s, 'other_content', '{}', '', 'queue', now(), '', %s)"""
    with tampered("desk", "acceptance_conflict", note, [order_id, None]):
        found = broken(check())
    assert found == {3: {("order was kept aside and nobody has decided", f"crossbook/{order_id}")}}
    with tampered("desk", "acceptance_conflict", note, [order_id, "2026-01-01T00:00Z"]):
        assert broken(check()) == {}

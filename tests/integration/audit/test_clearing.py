"""Invariant 6: clearing and its mirror, and each settlement on both sides, are held against each other."""

from tests.support.tampering import broken, tampered


def test_settlement_that_differs_is_found(past, check):
    change = "UPDATE counter_syncorder SET settlement_fee = settlement_fee + 0.00000001 WHERE id = %s"
    with tampered("default", "counter_syncorder", change, [past.opened.id]):
        report = check()
    assert broken(report) == {6: {("settlement differs", f"order {past.opened.id}")}}
    assert report.result(6).broken.listed[0].detail.startswith("fee ")


def test_clearing_that_is_not_its_mirror_is_found(past, check):
    change = "UPDATE counter_transfer SET amount = amount + 1 WHERE kind = 'open' AND order_id = %s"
    with tampered("default", "counter_transfer", change, [past.opened.id]):
        report = check()
    assert broken(report)[6] == {("clearing is not its mirror", "USDT")}
    assert report.result(6).broken.listed[0].detail.endswith("unexplained +1 USDT")


def test_report_that_counter_never_took_is_found(past, check, settings):
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0
    change = """UPDATE counter_syncorder SET state = 'SYNCED', settled_at = NULL, conversion_id = NULL WHERE id = %s"""
    with tampered("default", "counter_syncorder", change, [past.opened.id]):
        found = broken(check())
    assert found[6] == {("settlement was reported but not taken", f"order {past.opened.id}")}


def test_settlement_that_the_desk_never_made_is_found(past, check):
    change = """DELETE FROM settlement_allocation WHERE order_id IN (
                    SELECT id FROM acceptance_acceptedorder WHERE order_id = %s)"""
    with tampered("desk", "settlement_allocation", change, [past.opened.id]):
        found = broken(check())
    assert ("settlement was never made", f"order {past.opened.id}") in found[6]

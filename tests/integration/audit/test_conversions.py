"""Invariant 4: a share, fill, leg, carry or claim that is off by one unit is found at its conversion."""

import pytest

from tests.support.tampering import broken, tampered

UNIT = "0.00000001"


@pytest.mark.parametrize(
    ("table", "figures"),
    [
        (
            "settlement_allocation",
            {
                "value": {"shares that are not their order's", "value of opens less closes"},
                "fee": {"shares of the fee"},
                "due": {"shares that are not their order's"},
                "slippage": {"shares that are not their order's"},
            },
        ),
        (
            "settlement_fill",
            {
                "coin": {"coin of the fills", "coin carried out", "price"},
                "usdt": {"USDT of the fills"},
                "fee": {"coin carried out"},
            },
        ),
        (
            "settlement_conversion",
            {
                "price": {"price"},
                "fee_usdt": {"fee"},
                "carry_out_coin": {"coin carried out"},
                "carry_out_usdt": {"USDT carried out"},
                "bought": {"coin of the opens"},
                "filled_usdt": {"USDT of the fills"},
                "order_count": {"orders"},
            },
        ),
    ],
)
def test_figure_off_by_one_unit_is_found(past, check, table, figures):
    first, key = past.conversion_ids[0], "id" if table == "settlement_conversion" else "conversion_id"
    for column, wrong in figures.items():
        unit = {"order_count": "1", "due": "0.000001"}.get(column, UNIT)
        change = f"UPDATE {table} SET {column} = {column} + {unit} WHERE {key} = %s"
        with tampered("desk", table, change, [first]):
            found = broken(check())[4]
        expected = {(f"conversion does not add up: {figure}", f"conversion {first}") for figure in wrong}
        assert expected <= found, column
        assert {where.split()[1] for _, where in found} <= {str(first), "USDT", "BTC"}, column


def test_lost_leg_is_found(past, check):
    first = past.conversion_ids[0]
    change = "DELETE FROM settlement_desktransfer WHERE kind = 'slippage' AND conversion_id = %s"
    with tampered("desk", "settlement_desktransfer", change, [first]):
        found = broken(check())
    assert found == {
        4: {
            ("conversion does not add up: legs on trading USDT", f"conversion {first}"),
            ("conversion does not add up: legs on pnl:conversion USDT", f"conversion {first}"),
            ("trading account is not the carry", "USDT"),
        }
    }


def test_carry_that_nobody_booked_is_found(past, check):
    change = f"UPDATE settlement_carry SET coin = coin + {UNIT} WHERE underlying = 'ETH'"
    with tampered("desk", "settlement_carry", change):
        assert broken(check()) == {4: {("trading account is not the carry", "ETH")}}


def test_order_that_is_not_settled_by_its_one_conversion_is_found(past, check):
    from acceptance.models import AcceptedOrder

    shares, accepted = "settlement_allocation", "acceptance_acceptedorder"
    order = AcceptedOrder.objects.get(order_id=past.opened.id)
    other = past.conversion_ids[-1]
    for table, change in (
        (shares, f"DELETE FROM {shares} WHERE order_id = {order.pk}"),
        (shares, f"UPDATE {shares} SET conversion_id = {other} WHERE order_id = {order.pk}"),
        (accepted, f"UPDATE {accepted} SET conversion_id = {other} WHERE id = {order.pk}"),
        (accepted, f"UPDATE {accepted} SET state = 'CONVERTING' WHERE id = {order.pk}"),
        (accepted, f"UPDATE {accepted} SET state = 'RECEIVED', conversion_id = NULL WHERE id = {order.pk}"),
    ):
        with tampered("desk", table, change):
            found = broken(check())[4]
        what = "order is not settled by exactly one conversion"
        assert (what, f"crossbook/{past.opened.id}") in found, change

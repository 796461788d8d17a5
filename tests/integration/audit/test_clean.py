"""Books that are in order are found so, down to the venue's wallets and the last digit."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from django.db import connections

from audit.conversion_sql import HALF_EVEN
from infra.exchange.client import new_exchange
from settlement.models import Fill
from tests.support import desk
from tests.support.factories import place_close, place_open


def found(report) -> list[object]:
    """Everything that a report has to say."""
    return [
        finding
        for result in report.results
        for findings in (result.broken, result.in_flight)
        for finding in findings.listed
    ]


def test_history_of_all_kinds_of_orders_is_in_order(past, check):
    report = check()
    assert found(report) == []
    assert (report.broken, report.in_flight, report.unchecked) == (0, 0, [])
    assert all(result.checked for result in report.results if result.number != 8)


def test_history_with_commission_in_a_third_asset_is_in_order(past, check, venue, paper_venue, venue_account):
    _, key, secret = venue_account
    exchange = new_exchange(
        client="binance", url=paper_venue.url, timeout_seconds=3, apiKey=key, secret=secret
    )
    exchange.sapi_post_bnbburn({"spotBNBBurn": "true"})
    opened = place_open(past.customer, past.option, contracts=300)
    desk.run_desk(venue)
    place_close(opened, contracts=200, payout="at_fill")
    desk.run_desk(venue)
    assert Fill.objects.filter(fee_asset="BNB", fee__gt=0).count() >= 2
    report = check()
    assert found(report) == []
    assert report.unchecked == []


@pytest.mark.django_db(databases=["desk"])
def test_rounding_in_sql_is_half_even_like_the_desks():
    products = [Decimal(unit).scaleb(-9) for unit in range(-45, 46, 5)]
    products += [
        Decimal("1.0000000149999999"),
        Decimal("-1.0000000150000001"),
        Decimal("123456789.987654325"),
    ]
    with connections["desk"].cursor() as cursor:
        cursor.execute(
            f"SELECT x, {HALF_EVEN.format(x='x')} FROM unnest(%s::numeric[]) AS products (x)", [products]
        )
        for product, rounded in cursor.fetchall():
            assert rounded == product.quantize(Decimal("1e-8"), ROUND_HALF_EVEN), product

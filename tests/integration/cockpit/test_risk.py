"""The page "Risk" and its metrics: the exchange's side of what customers hold, in figures that add up."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cockpit.risk import read, shared_risk
from counter.models import Quote, TradingStatus
from tests.integration.cockpit.test_dashboard import text_of
from tests.integration.cockpit.test_metrics import samples, scraped
from tests.support.factories import make_customer, make_option, place_open
from tests.support.staff import staff as staff_of


@pytest.fixture
def viewer(two_systems):
    return staff_of("vic", role="viewer")


@pytest.fixture
def held(two_systems):
    """One coin of bitcoin calls at the money, and ten of ether puts."""
    call, put = make_option(index=Decimal(90_000)), make_option(underlying="ETH", kind="P")
    customer = make_customer(balance="1000000")
    place_open(customer, call, contracts=100)
    place_open(customer, put, contracts=100)
    return call, put, customer


def row_of(page, label, name):
    """The cells of a row, in the section of this label."""
    section = re.search(rf'<section[^>]*aria-label="{label}".*?</section>', page, re.DOTALL)
    assert section is not None, label
    for row in re.findall(r"<tr.*?</tr>", section.group(), re.DOTALL):
        cells = [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)
        ]
        if cells[0].startswith(name):
            return cells
    raise AssertionError(name)


def test_an_empty_book_is_a_whole_page(viewer):
    text = text_of(viewer.get("/admin/risk/"))
    assert "The exchange is short what customers hold" in text
    assert "nobody holds an option" in text
    assert "In no figure" not in text


def test_the_page_says_what_the_book_is_exposed_to_from_the_exchange_s_side(viewer, held):
    call, put, customer = held
    page = viewer.get("/admin/risk/").content.decode()
    risk = read(now=timezone.now())
    assert risk.by_coin["BTC"].delta == pytest.approx(-0.54 * 90_000, rel=0.05)
    _, delta, gamma, vega, theta, value = row_of(page, "By coin", "BTC")
    assert re.fullmatch(r"−4\d,\d{3} −0\.5\d{3}", delta)
    assert gamma.startswith("−")
    assert vega.startswith("−")
    assert not theta.startswith("−")
    assert value.startswith("−")
    assert row_of(page, "By coin", "ETH")[1].startswith("1")  # sold puts gain when the coin rises
    assert row_of(page, "Largest series", call.symbol)[1].startswith("−4")
    assert "100 contracts, IV 50.0%" in row_of(page, "Largest series", put.symbol)[0]
    assert row_of(page, "Largest customers", customer.reference)[0].endswith("200 contracts")
    assert "customers hold" in page


def test_the_grid_is_a_loss_both_ways_and_nothing_where_nothing_moves(viewer, held):
    page = viewer.get("/admin/risk/").content.decode()
    moves = row_of(page, "If the market moved now: all coins alike", "0 %")
    assert moves[5] == "0"
    assert moves[1].startswith("−") or moves[9].startswith("−")
    wild = row_of(page, "If the market moved now: BTC", "+50 %")
    assert wild[5].startswith("−")  # sold options lose by volatility alone
    up = row_of(page, "If the market moved now: BTC", "0 %")[9]
    assert -30_000 < int(up.replace("−", "-").replace(",", "")) < -20_000


def test_a_series_without_a_price_is_named_instead_of_left_out(viewer, held):
    call, _, _ = held
    Quote.objects.filter(option=call).delete()
    text = text_of(viewer.get("/admin/risk/"))
    assert "1 series without a price" in text
    assert f"{call.symbol} (100)" in text


def test_metrics_tell_the_same_risk(held):
    found = samples(scraped())
    assert found["crossbook_book_delta_usdt", ("coin", "BTC")] == pytest.approx(-0.54 * 90_000, rel=0.05)
    assert found["crossbook_book_delta_usdt", ("coin", "ETH")] > 0
    assert (
        found["crossbook_book_vega_usdt", ("coin", "BTC")]
        < 0
        < found["crossbook_book_theta_usdt", ("coin", "BTC")]
    )
    assert found["crossbook_book_contracts", ("coin", "ETH")] == 100
    assert found["crossbook_book_unpriced_series",] == 0


def test_what_orders_are_charged_by_for_their_size_is_shown_and_told(viewer, held):
    now = timezone.now()
    TradingStatus.objects.update_or_create(
        underlying="BTC",
        defaults={
            "spread_rate": "0.005",
            "since": now,
            "judged_at": now,
            "delta_depth": 90_000,
            "delta_base": "-0.5",
            "vega_depth": 1000,
            "vega_base": 100,
        },
    )
    text = viewer.get("/admin/risk/").content.decode()
    for shown in (
        "Charged for size",
        "−45,000 of 90,000 USDT",
        "0.100% of it",
        "BTC vega",
        "100 of 1,000 USDT",
    ):
        assert shown in text
    found = samples(scraped())
    assert found["crossbook_size_book_usdt", ("coin", "BTC"), ("measure", "delta")] == -45_000
    assert found["crossbook_size_depth_usdt", ("coin", "BTC"), ("measure", "vega")] == 1000
    TradingStatus.objects.update(delta_depth=None, vega_depth=None)
    shared_risk.forget()
    assert "Charged for size" not in viewer.get("/admin/risk/").content.decode()


def test_the_page_asks_two_statements_of_the_book_and_none_for_who_looks_within_a_second(viewer, held):
    with CaptureQueriesContext(connection) as asked:
        viewer.get("/admin/risk/")
    assert sum("counter_position" in each["sql"] for each in asked) == 2
    with CaptureQueriesContext(connection) as asked:
        viewer.get("/admin/risk/")
    assert not [each for each in asked if "counter_position" in each["sql"]]


def test_who_may_not_see_positions_sees_no_risk(two_systems):
    assert staff_of("eve").get("/admin/risk/").status_code == 403
    assert Client().get("/admin/risk/").status_code == 302

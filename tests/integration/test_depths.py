"""People set by how much size is charged, in the admin and at the console, with a reason that is kept."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from counter.models import DepthChange, TradingStatus
from counter.pricing.impact import Depths
from counter.trading.depths import DepthRefused, change_depths, read_books, set_depths
from tests.support.factories import place_open
from tests.support.sizing import DELTA_DEPTH, NOW, Market, customers
from tests.support.staff import staff


@pytest.fixture
def market(db):
    return Market()


def test_people_set_depths_with_a_reason_and_it_is_kept(market):
    to = Depths(Decimal(5), None, Decimal(7))
    assert set_depths(underlying="BTC", to=to, reason=" calmer ", by="ben", now=NOW)
    assert not set_depths(underlying="BTC", to=to, reason="again", by="ben", now=NOW)
    status = TradingStatus.objects.get(underlying="BTC")
    assert (status.delta_depth, status.vega_depth, status.premium_depth) == (5, None, 7)
    # What was measured before goes on, of each measure.
    assert (status.delta_base, status.premium_base) == (0, 0)
    assert DepthChange.objects.order_by("-pk").values_list(
        "underlying", "delta_depth", "vega_depth", "premium_depth", "reason", "by"
    )[0] == ("BTC", 5, None, 7, "calmer", "ben")
    assert set_depths(underlying="BTC", to=Depths(), reason="off", by="ben", now=NOW)
    assert read_books() == {}
    for coin, depths, reason, problem in (
        ("BTC", to, " ", "a reason is needed"),
        ("DOGE", to, "a", "no coin"),
        ("ETH", to, "a", "was not judged yet"),
        ("BTC", Depths(Decimal(-1)), "a", "0 at least"),
    ):
        with pytest.raises(DepthRefused, match=problem):
            set_depths(underlying=coin, to=depths, reason=reason, by="ben", now=NOW)


def page_of(name):
    return reverse(
        f"admin:counter_tradingstatus_{name}", args=[TradingStatus.objects.get(underlying="BTC").pk]
    )


def field(page, name):
    """What a field of the page holds."""
    [shown] = re.findall(rf'<input type="(?:number|text)" name="{name}"[^>]*>', page)
    found = re.search(r'value="([^"]*)"', shown)
    return found.group(1) if found else ""


def pressed(client, *, seen=None, **fields):
    """What is told after the form was sent as it was shown, but for these fields."""
    if seen is None:
        seen = client.get(page_of("depths")).content.decode()
    shown = {name: field(seen, name) for name in Depths._fields}
    given = {**shown, **{f"initial-{name}": value for name, value in shown.items()}, **fields}
    return client.post(page_of("depths"), given, follow=True).content.decode()


def test_operators_set_depths_in_the_admin_with_a_reason(market):
    operator, viewer = (staff(role, role=role) for role in ("operator", "viewer"))
    told = pressed(operator, delta="250000", premium="0", why="a thin market")
    assert "BTC: delta 100,000 USDT -&gt; 250,000 USDT." in told
    assert "Not done: no depth was changed." in pressed(operator, delta="250000.0", why="once more")
    assert "This field is required" in pressed(operator, delta="90000")
    assert "This field is required" in pressed(operator, delta="90000", why=" ")
    assert "greater than or equal to 0" in pressed(operator, vega="-1", why="r")
    assert viewer.get(page_of("depths")).status_code == 403
    assert viewer.post(page_of("depths"), {"delta": "90000", "why": "r"}).status_code == 403
    assert "Charge for size…" in operator.get(page_of("change")).content.decode()
    assert "Charge for size…" not in viewer.get(page_of("change")).content.decode()
    assert TradingStatus.objects.get().delta_depth == 250_000
    [change, _] = DepthChange.objects.order_by("-pk")
    assert (change.by, change.reason, change.delta_depth, change.premium_depth) == (
        "operator",
        "a thin market",
        250_000,
        None,
    )
    page = operator.get(reverse("admin:counter_depthchange_changelist")).content.decode()
    assert "a thin market" in page


def test_what_a_person_left_alone_stays_also_if_somebody_else_has_set_it_meanwhile(market):
    operator = staff("operator", role="operator")
    seen = operator.get(page_of("depths")).content.decode()
    change_depths(underlying="BTC", to={"delta": Decimal(90_000)}, reason="r", by="ben", now=NOW)
    assert "BTC: vega none -&gt; 7 USDT." in pressed(operator, seen=seen, vega="7", why="and vega")
    assert read_books()["BTC"].depths == (90_000, 7, None)
    assert "no depth was changed" in pressed(operator, delta="", why="emptied")
    assert read_books()["BTC"].depths == (90_000, 7, None)


def test_who_changes_what_somebody_else_has_set_meanwhile_sees_it_first(market):
    operator = staff("operator", role="operator")
    seen = operator.get(page_of("depths")).content.decode()
    change_depths(underlying="BTC", to={"delta": Decimal(900_000)}, reason="r", by="ben", now=NOW)
    told = pressed(operator, seen=seen, delta="110000", vega="7", why="r")
    assert "the delta depth was set to 900,000 USDT meanwhile: open this page again" in told
    assert read_books()["BTC"].depths == (900_000, None, None)
    assert "delta 900,000 USDT -&gt; 110,000 USDT, vega none -&gt; 7 USDT." in pressed(
        operator, delta="110000", vega="7", why="seen"
    )


@pytest.mark.parametrize(
    "given",
    [
        *("NaN", "sNaN", "Infinity", "-Infinity", "-1", "1e-7", "1e400", "1e30000000", "9" * 500),
        *("100000000000000", "1,000", "1.000,5", "1 000", "1'000", "0x10", "five"),
    ],
)
def test_what_is_no_depth_sets_nothing(market, given):
    operator = staff("operator", role="operator")
    for shown in ("100000", given):
        form = {"delta": given, "initial-delta": shown, "why": "r", "far_below": "on"}
        assert operator.post(page_of("depths"), form).status_code == 200
    form = {"delta": "90000", "initial-delta": given, "why": "r"}
    assert operator.post(page_of("depths"), form).status_code == 200
    assert read_books()["BTC"].depths == (100_000, None, None)


def test_a_coin_that_there_is_no_more_is_refused(market):
    TradingStatus.objects.filter(underlying="BTC").update(underlying="DOGE")
    operator = staff("operator", role="operator")
    address = reverse("admin:counter_tradingstatus_depths", args=[TradingStatus.objects.get().pk])
    told = operator.post(address, {"delta": "90000", "why": "r"}).content.decode()
    assert "Not done: there is no coin DOGE." in told


def test_a_depth_far_below_the_one_in_force_is_set_only_by_who_says_that_it_is_meant(market):
    operator = staff("operator", role="operator")
    assert "far_below" not in operator.get(page_of("depths")).content.decode()
    told = pressed(operator, delta="9999.999999", vega="7", why="a zero too few")
    assert (
        "a delta depth of 9,999.999999 USDT for BTC is less than a tenth of the 100,000 USDT in force" in told
    )
    assert 'name="far_below"' in told
    assert field(told, "delta") == "9999.999999"
    assert read_books()["BTC"].depths == (100_000, None, None)
    assert "BTC: delta" in pressed(operator, delta="10000", vega="7", why="a thin market")
    assert "BTC: delta" in pressed(operator, delta="5", far_below="on", why="on purpose")
    assert "BTC: delta" in pressed(operator, delta="0", why="off")
    assert read_books()["BTC"].depths == (None, 7, None)


def test_the_fields_show_what_is_in_force(market):
    change_depths(underlying="BTC", to={"vega": Decimal("20000.5")}, reason="r", by="ben", now=NOW)
    operator = staff("operator", role="operator")
    page = operator.get(page_of("depths")).content.decode()
    assert [field(page, name) for name in Depths._fields] == ["100000", "20000.5", ""]
    standing = operator.get(page_of("change")).content.decode()
    assert "delta 100,000 USDT, vega 20,000.5 USDT, premium none." in standing


def console(*arguments):
    out = StringIO()
    call_command("trading", "size", "BTC", *arguments, stdout=out)
    return out.getvalue()


def test_depths_are_set_and_shown_at_the_console(two_systems):
    now = datetime.now(UTC)
    market = Market(depths=DELTA_DEPTH, now=now)
    place_open(*customers(1), market.call, contracts=100, now=now)
    with pytest.raises(
        CommandError, match="a delta depth of 5,000 USDT for BTC is less than a tenth of the 100,000"
    ):
        console("--delta", "5000", "--reason", "a test")
    assert read_books()["BTC"].depths == (100_000, None, None)
    told = console("--delta", "5000", "--far-below", "--reason", "a test")
    assert "BTC: delta 100,000 USDT -> 5,000 USDT." in told
    assert "BTC charges for size: delta -0.5000 coin, -45,000 USDT (depth 5,000 USDT)." in told
    told = console("--vega", "1000", "--reason", "a test")
    assert "BTC: vega none -> 1,000 USDT." in told
    assert "USDT (depth 5,000 USDT), vega -90 USDT (depth 1,000 USDT)." in told
    with pytest.raises(CommandError, match="a reason is needed"):
        console("--delta", "0", "--reason", " ")
    with pytest.raises(CommandError, match="name a depth: --delta, --vega, --premium"):
        console("--reason", "off")
    assert read_books()["BTC"].depths == (5000, 1000, None)
    console("--delta", "0", "--vega", "none", "--reason", "off")
    assert read_books() == {}

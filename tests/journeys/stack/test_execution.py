"""A treasurer in a real browser: what a conversion was executed at against the market.

`SCREENSHOTS=docs/images` keeps what is seen, in light and dark.
"""

import csv
import io
import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.journeys.stack.test_treasurer import SCREENSHOTS, through_the_menu
from tests.support.browsing import SEEN_WITHIN_MS, Cockpit, seen_in_chromium

pytestmark = seen_in_chromium

expect.set_options(timeout=SEEN_WITHIN_MS)

# As the task will, without waiting for its time: when the minutes are over, though not for trades that come late.
MEASURE = """
import time
from datetime import timedelta
from django.db.models import Max
from infra.coordination import clock
from settlement.conversions.execution import measuring, minutes
from settlement.models import Conversion, Execution, Fill
from settlement.venues.ccxt_venue import venue
now = clock.of("desk").now()
by_hand = Fill.objects.exclude(intervention_id=None).values("conversion_id")  # which another journey leaves
measured = Conversion.objects.filter(state="BOOKED", filled_coin__gt=0).exclude(id__in=by_hand)
for run in range(600):  # what runs beside them has to end in between
    measuring.enter_booked(clock=lambda: now + run * timedelta(seconds=10))
    if Execution.objects.count() == measured.count():
        break
    time.sleep(0.1)
else:
    raise AssertionError("a conversion is not measured")
over_at = Execution.objects.aggregate(at=Max("minute"))["at"] + timedelta(minutes=1)
while clock.of("desk").now() < over_at:
    time.sleep(0.5)
minutes.ask_awaited(venue=venue(), clock=lambda: over_at + timedelta(minutes=2))
"""


def test_a_conversion_is_held_against_the_market_and_followed(stack: Cockpit, browser: Browser) -> None:
    """Of the orders that the fixture has placed: the market's minute is over, or nearly so."""
    stack.hire("trea", "viewer")
    stack.manage("shell", "-c", MEASURE)
    page = stack.log_in(browser, "trea")
    through_the_menu(page, "Money", "Best execution")
    by_coin = page.get_by_role("region", name="By coin")
    for coin in ("BTC", "ETH"):
        row = by_coin.get_by_role("row", name=re.compile(rf"^all days {coin}\b"))
        # In basis points against each of the three, and in USDT beneath.
        expect(row).to_contain_text(re.compile(r"(−?[\d,]+\.\d\d\s*−?[\d,.]+ USDT.*){3}", re.DOTALL))
    _keep(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Each conversion of these days as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert {row["coin"] for row in rows} == {"BTC", "ETH"}
    assert {row["answer"] for row in rows} == {"KNOWN"}
    page.get_by_label("From").fill("2026-01-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("92 days at most")
    losses = page.get_by_role("region", name="Largest losses")
    losses.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/admin/settlement/conversion/\d+/change/"))


def _keep(page: Page) -> None:
    if not SCREENSHOTS:
        return
    page.set_viewport_size({"width": 1440, "height": 1000})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.reload()  # which chooses the theme
        suffix = "" if scheme == "light" else "-dark"
        page.screenshot(path=Path(SCREENSHOTS) / f"best-execution{suffix}.png")
    page.emulate_media(color_scheme="light")
    page.reload()

"""Two people close a day in a real browser, by a real worker, and take its files along.

`SCREENSHOTS=docs/images` keeps what they see, in light and dark.
"""

import re
from pathlib import Path

import pyarrow as pa
import requests
from playwright.sync_api import Browser, Page, expect
from pyarrow import parquet

from tests.journeys.stack.test_treasurer import keep, through_the_menu
from tests.support.browsing import SEEN_WITHIN_MS, Cockpit, seen_in_chromium

pytestmark = seen_in_chromium

expect.set_options(timeout=SEEN_WITHIN_MS)

# The day under way as if it were over, so that there is something to see. The close is the worker's own.
STATE_TODAY = """
from cockpit import days, venue_statement
from cockpit.models import DayStatement
from infra.coordination import clock
from settlement.venues.ccxt_venue import venue
now = clock.of("default").now()
venue_statement.ask(now.date(), venue=venue(), now=now)
content = days.add_up(now.date())
print(DayStatement.objects.create(
    day=now.date(), content=content, digest=days.digest_of(content), made_by="clara", made_at=now
).pk)
"""


def test_a_day_is_stated_closed_by_another_and_taken_along(
    stack: Cockpit, browser: Browser, tmp_path: Path
) -> None:
    stack.hire("clara", "operator")
    stack.hire("carl", "approver")
    for coin in ("BTC", "ETH"):
        stack.settled(f"of-the-day-{coin}", coin)
    clara = stack.log_in(browser, "clara")
    states_yesterday(clara)
    page = stack.log_in(browser, "carl")
    closes_today(stack, page)
    keep(page, "close", height=1300)
    programs_read_it(stack)
    with page.expect_download() as download:
        page.get_by_role("link", name="This page as PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    with page.expect_download() as download:
        page.get_by_role("link", name="orders as Parquet").click()
    file = tmp_path / "orders.parquet"
    download.value.save_as(file)
    assert {"of-the-day-BTC", "of-the-day-ETH"} <= set(
        parquet.read_table(file)["client_order_id"].to_pylist()
    )


def programs_read_it(stack: Cockpit) -> None:
    """By a key of the person, from the server itself."""
    key = stack.manage("staff_key", "carl", "--label", "journey").strip().splitlines()[-1]
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = f"StaffKey {key}"
        [closed] = http.get(f"{stack.info.web_url}/staff/v1/days", timeout=30).json()["results"]
        assert (closed["made_by"], closed["closed_by"]) == ("clara", "carl")
        day = http.get(f"{stack.info.web_url}/staff/v1/days/{closed['day']}", timeout=30).json()
        for file in day["files"]:
            written = http.get(stack.info.web_url + file["parquet"], timeout=30).content
            assert parquet.read_table(pa.BufferReader(written)).num_rows >= 0, file["name"]
        risk = http.get(f"{stack.info.web_url}/staff/v1/risk", timeout=30).json()
        assert {coin["coin"] for coin in risk["coins"]} == {"BTC", "ETH"}


def states_yesterday(page: Page) -> None:
    """By the button; a worker adds it up, and the page shows when it is done. An empty day is a day, too."""
    through_the_menu(page, "Money", "Close of the day")
    page.get_by_role("button", name="make the statement").first.click()
    expect(page.get_by_role("region", name="Days").get_by_role("link", name="by clara")).to_be_visible()


def closes_today(stack: Cockpit, page: Page) -> None:
    """Stated anew while the desk still books, as people would: what has changed since is refused with a reason."""
    for _ in range(5):
        statement = stack.manage("shell", "-v", "0", "-c", STATE_TODAY).strip().splitlines()[-1]
        page.goto(f"/admin/days/{statement}/")
        page.get_by_role("button", name=re.compile("for good")).click()
        closed = page.get_by_role("heading", name=re.compile("closed by clara and carl"))
        expect(closed.or_(page.get_by_text("The close was not done"))).to_be_visible()
        if closed.is_visible():
            return
    raise AssertionError(page.get_by_role("region", name="State").inner_text())

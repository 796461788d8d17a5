"""A treasurer and an operator in a real browser: the risk that was sold, what is held, and the kill switch.

`SCREENSHOTS=docs/images` keeps what they see, in light and dark.
"""

import os
import re
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.support.browsing import SEEN_WITHIN_MS, Cockpit, seen_in_chromium
from tests.support.trading import accessible

pytestmark = seen_in_chromium

UNDONE_WITHIN_SECONDS = 60.0
SCREENSHOTS = os.environ.get("SCREENSHOTS")

expect.set_options(timeout=SEEN_WITHIN_MS)


def test_risk_is_read_and_trading_is_stopped_and_resumed(stack: Cockpit, browser: Browser) -> None:
    stack.hire("tess", "operator")
    stack.hire("tom", "approver")
    stack.settled("of-the-treasurer", "ETH")
    tess = stack.log_in(browser, "tess")
    reads_the_risk(tess)
    reads_the_balances(tess)
    finds_stops_and_sees_it(tess)
    takes_it_back(tess)
    finds_stops_and_sees_it(tess)
    tom = stack.log_in(browser, "tom")
    resumes_it(tom)
    stack.order("after-the-stop", symbol=stack.symbol("ETH"))


def through_the_menu(page: Page, group: str, line: str) -> None:
    """By the words of the menu; its groups are folded but the first."""
    page.goto("/admin/")
    menu = page.locator("#nav-sidebar-apps")
    link = menu.get_by_role("link", name=line, exact=True)
    expect(link).to_be_hidden()
    menu.locator("h2").filter(has_text=re.compile(rf"^\s*{group}\b")).click()
    link.click()


def reads_the_risk(page: Page) -> None:
    through_the_menu(page, "Risk", "Risk of the option book")
    expect(page.get_by_text("The exchange is short what customers hold.")).to_be_visible()
    ether = page.get_by_role("region", name="By coin").get_by_role("row", name=re.compile("^ETH"))
    expect(ether).to_contain_text("contracts")
    keep(page, "risk", height=1500)


def reads_the_balances(page: Page) -> None:
    through_the_menu(page, "Money", "Balances")
    expect(page.get_by_role("region", name="Held", exact=True)).to_contain_text("at the venue")
    keep(page, "balances", height=1500)


def finds_stops_and_sees_it(page: Page) -> None:
    """From the first page, by nothing but its words."""
    page.goto("/admin/")
    switches = page.get_by_role("region", name="Kill switch")
    switches.get_by_role("row", name=re.compile("^ETH")).get_by_role("link", name="stop opens…").click()
    expect(page.get_by_role("region", name="Stops")).to_contain_text("opening positions")
    expect(page.get_by_role("region", name="Goes on")).to_contain_text("closing positions of ETH, by")
    keep(page, "kill-switch")
    page.get_by_label("Why").fill("A drill.")
    page.get_by_role("button", name="Stop opens: ETH").click()
    page.goto("/admin/")
    expect(switches.get_by_role("row", name=re.compile("^ETH"))).to_contain_text("A drill.")


def takes_it_back(page: Page) -> None:
    """By the person who threw it, from the first page and by nothing but its words, within a minute."""
    started = time.monotonic()
    page.goto("/admin/")
    row = page.get_by_role("region", name="Kill switch").get_by_role("row", name=re.compile("^ETH"))
    row.get_by_role("link", name=re.compile("^stopped: take back…")).click()
    expect(page.get_by_role("region", name="State")).to_contain_text("opens are stopped, closing goes on")
    undo = page.get_by_role("region", name="Undo it")
    expect(undo).to_contain_text("Then opens and closes go on")
    keep(page, "kill-switch-undo", height=1000)
    accessible(page, within=".cockpit")
    undo.get_by_label("Why").fill("It was the wrong coin.")
    undo.get_by_role("button", name="Take back: ETH").click()
    expect(page.get_by_role("region", name="State")).to_contain_text("ETH: opens and closes go on")
    expect(page.get_by_role("region", name="History")).to_contain_text("It was the wrong coin.")
    assert time.monotonic() - started < UNDONE_WITHIN_SECONDS or SCREENSHOTS
    accessible(page, within=".cockpit")
    page.goto("/admin/")
    expect(row).to_contain_text("opens and closes go on")


def resumes_it(page: Page) -> None:
    switches = page.get_by_role("region", name="Kill switch")
    switches.get_by_role("row", name=re.compile("^ETH")).get_by_role("link", name="resume…").click()
    page.get_by_label("Why").fill("The drill is over.")
    page.get_by_role("button", name="Resume trading: ETH").click()
    page.goto("/admin/")
    expect(switches.get_by_role("row", name=re.compile("^ETH"))).to_contain_text("opens and closes go on")


def keep(page: Page, name: str, *, height: int = 900) -> None:
    """A screenshot in light and one in dark, if they are wanted."""
    if not SCREENSHOTS:
        return
    page.set_viewport_size({"width": 1280, "height": height})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.reload()  # which chooses the theme
        suffix = "" if scheme == "light" else "-dark"
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}{suffix}.png")
    page.emulate_media(color_scheme="light")
    page.reload()
    page.set_viewport_size({"width": 1280, "height": 900})

"""Two people in a real browser before a real stack: orders flow, one gets stuck, they find it and mend it.

`SCREENSHOTS=docs/images` keeps what they see, for the README.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.support.browsing import SEEN_WITHIN_MS, Cockpit, seen_in_chromium
from tools.stack.supervision import wait_until

pytestmark = seen_in_chromium

SOON_SECONDS = 60.0
DRAWN_AFTER_SECONDS = 200.0  # a chart has a point a minute
# The venue executes the order, and answers as if it had refused it.
EXECUTED_AND_DENIED = {
    "kind": "error_after",
    "path": "/api/v3/order$",
    "method": "POST",
    "count": 1,
    "status": 400,
    "code": -1102,
    "message": "Mandatory parameter was not sent.",
}
SCREENSHOTS = os.environ.get("SCREENSHOTS")

expect.set_options(timeout=SEEN_WITHIN_MS)


def test_two_people_find_and_mend_what_is_stuck_without_a_shell(stack: Cockpit, browser: Browser) -> None:
    stack.hire("ann", "operator")
    stack.hire("bob", "approver")
    symbol = stack.symbol("BTC")
    ann = stack.log_in(browser, "ann")
    nothing_needs_a_human(stack, ann)
    with orders_flow(stack):
        sees_them_move(ann)
        if SCREENSHOTS:
            time.sleep(DRAWN_AFTER_SECONDS)
        keep(ann, "dashboard", height=1500)

    stack.fault(**EXECUTED_AND_DENIED)
    order_id = stack.order("the-stuck-one", symbol=symbol)
    finds_the_conversion(ann)
    books_by_hand(ann)
    expect(ann.get_by_text("waits for another person's approval")).to_be_visible()
    assert ann.get_by_role("button", name="Approve and do it").count() == 0
    assert stack.state(order_id) != "settled"

    bob = stack.log_in(browser, "bob")
    finds_the_conversion(bob)
    bob.get_by_role("link", name=re.compile(r"^Intervention \d+$")).click()
    bob.get_by_label("Why").fill("The venue's page shows the same trade.")
    bob.get_by_role("button", name="Approve and do it").click()
    expect(bob.get_by_text(re.compile("is applied", re.IGNORECASE))).to_be_visible()
    assert wait_until(lambda: stack.state(order_id) == "settled", within_seconds=SOON_SECONDS)

    follows_its_timeline(bob, order_id)
    bob.goto("/admin/")
    nothing_needs_a_human(stack, bob)
    audit = json.loads(stack.manage("audit", "--json"))
    assert audit["broken"] == 0


def nothing_needs_a_human(stack: Cockpit, page: Page) -> None:
    """But samples of the index that a busy machine was too slow for, as while the stack started."""
    forget = "from counter.models import IndexRejection; IndexRejection.objects.all().delete()"
    stack.manage("shell", "-c", forget)
    expect(page.get_by_text("Nothing needs a human")).to_be_visible()


@contextmanager
def orders_flow(stack: Cockpit) -> Iterator[None]:
    """Some orders a second of both coins, bounded, for as long as the block lasts."""
    symbols, stopping = [stack.symbol("BTC"), stack.symbol("ETH")], threading.Event()
    failed: list[BaseException] = []
    placed: list[int] = []

    def place() -> None:
        try:
            for number in range(3000):
                placed.append(stack.order(f"flow-{number}", symbol=symbols[number % 2]))
                if stopping.wait(0.1):
                    return
        except BaseException as error:  # noqa: BLE001 - the test's own thread tells it
            failed.append(error)

    thread = threading.Thread(target=place)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(SOON_SECONDS)
    assert not failed, failed
    for order_id in placed[-2:]:  # one of each coin: those before it are settled no later
        assert wait_until(lambda: stack.state(order_id) == "settled", within_seconds=SOON_SECONDS)  # noqa: B023


def sees_them_move(page: Page) -> None:
    """The figures change by themselves, in the page as it was loaded."""
    page.evaluate("window.notReloaded = true")
    accepted = page.locator('[data-rate="accepted"] b')
    seen: set[str] = set()

    def changed(times: int) -> Callable[[], bool]:
        def look() -> bool:
            seen.add(accepted.inner_text())
            return len(seen) >= times

        return look

    assert wait_until(changed(3), within_seconds=SOON_SECONDS), seen
    assert page.evaluate("window.notReloaded")


def finds_the_conversion(page: Page) -> None:
    """From the first page by its links to the stuck conversion."""
    alert = page.locator('[data-alert="conversion_manual"]')
    alert.get_by_role("link").click()
    page.get_by_role("rowheader").get_by_role("link").first.click()
    expect(page.get_by_text("What can be done in this state")).to_be_visible()


def books_by_hand(page: Page) -> None:
    """Fills in what the venue shows, looks at what it would change, and asks for it."""
    page.get_by_role("link", name="Book by hand").click()
    page.get_by_role("button", name="Read the trades from the venue").click()
    expect(page.get_by_label("Trade id")).not_to_have_value("")
    page.get_by_label("Reason").fill("Executed, and answered as if it had been refused.")
    page.get_by_label("Evidence").fill("The venue's trade history.")
    page.get_by_role("button", name="Show what it would change").click()
    expect(page.get_by_text("the venue shows the same trades")).to_be_visible()
    keep(page, "intervention")
    page.get_by_role("button", name="Request it").click()


def follows_its_timeline(page: Page, order_id: int) -> None:
    """From the customer's own name of the order to all that happened to it."""
    page.goto("/admin/timeline/")
    page.get_by_label("Find an order").fill("the-stuck-one")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/timeline/{order_id}/")
    for told in ("ann", "bob"):
        expect(page.get_by_text(told).first).to_be_visible()
    keep(page, "timeline")
    page.locator("details", has_text="Mandatory parameter").locator("summary").first.click()
    expect(page.get_by_text("Mandatory parameter").first).to_be_visible()


def keep(page: Page, name: str, *, height: int = 900) -> None:
    """A screenshot, if they are wanted."""
    if SCREENSHOTS:
        page.set_viewport_size({"width": 1280, "height": height})
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
        page.set_viewport_size({"width": 1280, "height": 900})

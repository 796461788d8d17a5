"""A customer who looks away is told of orders by notifications of a whole browser."""

from contextlib import closing

from playwright.sync_api import Browser, expect

from tests.support.browsing import ARGUMENTS, SEEN_WITHIN_MS, WHOLE, Cockpit, seen_in_whole_chromium
from tests.support.trading import Shopper
from tools.stack.supervision import wait_until

pytestmark = seen_in_whole_chromium

# Notifications as they are made, which goes on as usual.
NOTED = """() => {
    window.noted = [];
    window.Notification = class extends window.Notification {
        constructor(title, how) { super(title, how); window.noted.push(how.body); }
    };
}"""

expect.set_options(timeout=SEEN_WITHIN_MS)


def test_an_order_that_is_done_is_told_while_the_page_is_hidden_and_asks_for_nothing_else(
    stack: Cockpit, browser: Browser
) -> None:
    with closing(browser.browser_type.launch(executable_path=WHOLE, args=ARGUMENTS)) as whole:
        is_told(stack, whole)


def is_told(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "isa")
    page = shopper.page
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.evaluate(NOTED)
    shopper.context.grant_permissions(["notifications"])
    page.get_by_label("Notify me of orders").check()
    symbol = shopper.buy()
    assert wait_until(lambda: page.evaluate("window.noted.length") > 0, within_seconds=60)
    [told] = page.evaluate("window.noted")
    assert f"is done: buy 1 {symbol}" in told
    expect(page.locator("#told")).to_have_text(told)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(5000)  # longer than it waits between two requests
    assert not any("/trade/chain" in url for url in asked)

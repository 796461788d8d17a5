"""Customers in a real browser before a real stack: they buy, watch it settle, close and see their money.

`SCREENSHOTS=docs/images` keeps what they see, for the README.
"""

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from config.stack.supervision import wait_until
from tests.support.browsing import CHROMIUM, SEEN_WITHIN_MS, Cockpit, chromium
from tests.support.trading import Shopper, accessible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine: the trade page was not seen in a browser"
    ),
]

SCREENSHOTS = os.environ.get("SCREENSHOTS")

expect.set_options(timeout=SEEN_WITHIN_MS)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cockpit]:
    made = Cockpit(tmp_path_factory.mktemp("trade") / "var")
    try:
        made.symbol("BTC")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def keep(shopper: Shopper, name: str) -> None:
    """A screenshot, if they are wanted."""
    if SCREENSHOTS:
        shopper.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def test_customer_buys_watches_it_settle_and_closes_both_ways(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "ann")
    page, ticket = shopper.page, shopper.ticket
    page.evaluate("window.notReloaded = true")
    accessible(page)
    symbol = shopper.choose()
    accessible(page)
    page.get_by_label("Contracts").fill("3")
    ticket.get_by_role("button", name="Get a firm price").click()
    expect(ticket.get_by_text("Firm for")).to_be_visible()
    keep(shopper, "trade")
    shopper.press_while_firm("Buy for")
    shopper.sees_it_settled()
    accessible(page)
    assert shopper.balance < 10_000

    held = page.get_by_role("row", name=symbol).filter(has_text="3 of 3 contracts")
    held.get_by_role("link", name=f"Close {symbol}").click()
    accessible(page)
    page.get_by_label("Contracts").fill("1")
    before = shopper.balance
    ticket.get_by_role("button", name="Get a firm price").click()
    shopper.press_while_firm("Close for")
    assert wait_until(lambda: shopper.balance > before, within_seconds=60)
    shopper.sees_it_settled()

    page.get_by_role("link", name=f"Close {symbol}").click()
    ticket.get_by_role("button", name="Close now, be paid at fill").click()
    shopper.sees_it_settled()
    expect(ticket.get_by_text("you were paid")).to_be_visible()
    expect(page.get_by_text("You hold no options")).to_be_visible()
    assert page.evaluate("window.notReloaded")

    shown = shopper.balance
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="Ledger").click()
    accessible(page)
    payout = page.get_by_role("row", name="payout at fill")
    expect(payout).to_have_count(1)
    after = Decimal(payout.get_by_role("cell").last.inner_text().replace(",", ""))
    assert after - Decimal("0.01") < shown <= after
    assert json.loads(stack.manage("audit", "--json"))["broken"] == 0
    assert not shopper.errors


def test_the_keyboard_alone_is_enough(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "ben")
    page = shopper.page

    def comes_to(selector: str) -> bool:
        return wait_until(
            lambda: page.evaluate("(selector) => document.activeElement.matches(selector)", selector),
            within_seconds=60,
        )

    expect(page.get_by_role("button", name="Pause prices")).to_be_visible()  # what the scripts add is there
    # Read at once: while the index moves, another strike may come to be at the money.
    first, call, put = page.evaluate(
        "['.is-at-the-money', '.is-at-the-money + tr', '.is-at-the-money + tr td.put']"
        ".map((row) => document.querySelector(row + ' a.price').id)"
    )
    page.locator(f"#{first}").focus()
    page.keyboard.press("ArrowDown")
    assert comes_to(f"#{call}")
    page.keyboard.press("ArrowRight")
    assert comes_to(f"#{put}")
    page.wait_for_timeout(3000)  # longer than the prices stay as they are
    assert comes_to("a.price")
    page.keyboard.press("Enter")
    assert comes_to("#contracts")
    page.keyboard.press("Escape")
    assert comes_to("a.price")
    page.keyboard.press("Enter")
    assert comes_to("#contracts")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    expect(shopper.ticket.get_by_text("This price has expired")).to_be_visible()
    assert comes_to("[data-when-expired]")
    page.keyboard.press("Enter")
    assert comes_to("[data-while-firm]")
    page.keyboard.press("Enter")
    expect(shopper.ticket.get_by_text("Bought 2")).to_be_visible()
    shopper.sees_it_settled()  # the result has been refreshed, and is still where the keyboard is
    assert comes_to("#placed .done")


def test_whoever_presses_twice_buys_once(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "cid")
    shopper.choose()
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    shopper.ticket.get_by_role("button", name="Buy for").dblclick()
    expect(shopper.ticket.get_by_text("Bought 1")).to_be_visible()
    shopper.sees_it_settled()
    assert shopper.orders() == 1


def test_an_order_whose_answer_is_lost_is_asked_for_and_placed_once(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "dan")
    page, ticket = shopper.page, shopper.ticket
    sent: list[str] = []

    def lose(route: Route) -> None:
        sent.append(route.fetch().text())  # it arrives, and is answered
        route.abort()

    outcome = "**/trade/orders/outcome/**"
    page.route("**/trade/orders/", lose)
    page.route(outcome, lambda route: route.abort())
    shopper.choose()
    ticket.get_by_role("button", name="Get a firm price").click()
    ticket.get_by_role("button", name="Buy for").click()
    expect(ticket.get_by_text("It is not known whether this order was taken.")).to_be_visible()
    assert "Bought 1" in sent[0]
    page.unroute("**/trade/orders/")
    page.unroute(outcome)
    expect(ticket.get_by_text("Bought 1")).to_be_visible()
    assert shopper.orders() == 1


def test_without_a_connection_nothing_is_sent_and_the_page_says_so(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "eve")
    page, ticket = shopper.page, shopper.ticket
    shopper.choose()
    ticket.get_by_role("button", name="Get a firm price").click()
    button = ticket.get_by_role("button", name="Buy for")
    expect(button).to_be_visible()
    shopper.context.set_offline(True)
    button.click()
    expect(ticket.get_by_text("Nothing was sent.")).to_be_visible()
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    shopper.context.set_offline(False)
    expect(page.get_by_text("The server does not answer.")).to_be_hidden()
    assert shopper.orders() == 0


def test_a_page_whose_forms_are_refused_says_that_it_is_out_of_date(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "kim")
    shopper.choose()
    shopper.context.clear_cookies(name="csrftoken")
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    expect(shopper.page.get_by_text("This page is out of date.")).to_be_visible()
    shopper.context.clear_cookies()
    expect(shopper.page.get_by_role("button", name="Log in")).to_be_visible()


def test_refusal_says_what_to_do(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "fay", balance="1")
    shopper.choose()
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    shopper.ticket.get_by_role("button", name="Buy for").click()
    expect(shopper.ticket.get_by_text("This costs more than your balance.")).to_be_visible()
    expect(shopper.ticket.get_by_text("Choose fewer contracts, or deposit USDT.")).to_be_visible()
    accessible(shopper.page)
    assert shopper.orders() == 0


def test_a_stopped_coin_says_so_and_can_still_be_closed(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "gus")
    page = shopper.page
    symbol = shopper.buy()
    shopper.throw("BTC", "OPENS_STOPPED")
    try:
        told = "Nobody can buy BTC options at the moment: trading has been stopped by hand."
        expect(page.get_by_text(told)).to_be_visible()
        expect(page.locator("a.price")).to_have_count(0)
        accessible(page)
        page.get_by_role("link", name=f"Close {symbol}").click()
        shopper.ticket.get_by_role("button", name="Get a firm price").click()
        shopper.press_while_firm("Close for")
        page.get_by_role("link", name="ETH").click()
        expect(page.locator("a.price").first).to_be_visible()
        expect(page.get_by_text(told)).to_be_hidden()
    finally:
        shopper.throw("BTC", "RUNNING")


def test_a_phone_shows_one_side_at_a_time_and_never_scrolls_sideways(
    stack: Cockpit, browser: Browser
) -> None:
    shopper = Shopper(stack, browser, "hal", phone=True, color_scheme="dark")
    page = shopper.page
    puts = page.locator("a.price[id$='-P']")
    expect(puts.first).to_be_hidden()
    accessible(page)
    page.get_by_label("Puts").check()
    expect(puts.first).to_be_visible()
    page.wait_for_timeout(3000)  # longer than the prices stay as they are
    expect(page.locator("a.price[id$='-C']").first).to_be_hidden()
    shopper.buy(contracts=5)
    shopper.sees_it_settled()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Calls").check()
    shopper.choose()
    expect(page.get_by_label("Contracts")).to_be_focused()
    page.wait_for_timeout(500)  # the page has come to where the ticket is
    keep(shopper, "trade-phone")
    for kind in ("orders", "positions", "ledger"):
        page.goto(f"/trade/history/{kind}/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        accessible(page)


def test_a_hidden_or_paused_page_asks_for_nothing(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "ida")
    page = shopper.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def asked_of(part: str) -> int:
        asked.clear()
        page.wait_for_timeout(5000)
        return sum(f"/trade/{part}/" in url for url in asked)

    assert asked_of("chain") > 0
    page.get_by_role("button", name="Pause prices").click()
    assert asked_of("chain") == 0
    page.get_by_role("button", name="Pause prices").click()
    assert asked_of("book") > 0
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    assert asked_of("") == 0


def test_everything_works_without_scripts(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "jon", java_script_enabled=False)
    page = shopper.page
    page.get_by_role("link", name="ETH").click()
    page.locator("a.price").first.click()
    page.get_by_role("button", name="Get a firm price").click()
    expect(page.get_by_text("This price is firm until")).to_be_visible()
    page.get_by_role("button", name="Buy for").click()
    expect(page.get_by_text("Bought 1 ETH")).to_be_visible()
    page.reload()
    assert shopper.orders() == 1

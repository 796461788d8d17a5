"""Customers in a real browser before a real stack: they buy, watch it settle, close and see their money.

`SCREENSHOTS=docs/images` keeps what they see, for the README.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Route, expect

from tests.support.browsing import PASSWORD, SEEN_WITHIN_MS, Cockpit, seen_in_chromium
from tests.support.trading import Shopper, accessible
from tools.stack.supervision import wait_until

pytestmark = seen_in_chromium

SCREENSHOTS = os.environ.get("SCREENSHOTS")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# A week of the index and of a customer's portfolio, with a gap.
PAST = """
from datetime import timedelta
from decimal import Decimal
from itertools import accumulate
from django.utils import timezone
from counter.models import IndexPrice, PortfolioValue, Customer
now = timezone.now()
hour = now.replace(minute=0, second=0, microsecond=0)
walk = list(accumulate(Decimal(n * n * 7919 % 27 - 13) for n in range(700)))
IndexPrice.objects.bulk_create(
    IndexPrice(underlying="BTC", price=Decimal(89500) + 9 * walk[n], at=now - timedelta(minutes=15 * n))
    for n in range(1, 690)
)
customer = Customer.objects.get(reference={name!r})
PortfolioValue.objects.bulk_create(
    PortfolioValue(customer=customer, period=hour - timedelta(hours=n), at=hour - timedelta(hours=n), balance=9900,
                   worth=None if 60 < n < 66 else 110 + walk[n] / 2, paid_in=10000, holds=True)
    for n in range(1, 160)
)
"""

expect.set_options(timeout=SEEN_WITHIN_MS)


def keep(shopper: Shopper, name: str) -> None:
    """A screenshot, if they are wanted."""
    if SCREENSHOTS:
        shopper.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def keep_each(shopper: Shopper, name: str, at: str = "body") -> None:
    """What stands at a selector, on a desk and on a phone, in light and in dark, if screenshots are wanted."""
    if not SCREENSHOTS:
        return
    page = shopper.page
    usual = page.viewport_size
    page.evaluate("document.getElementById('told')?.setAttribute('hidden', '')")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for width, height in ((1440, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("(at) => document.querySelector(at).scrollIntoView()", at)
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}-{scheme}.png")
    page.emulate_media(color_scheme="null")
    if usual is not None:
        page.set_viewport_size(usual)


def test_customer_buys_watches_it_settle_and_closes_both_ways(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "amy")
    page, ticket = shopper.page, shopper.ticket
    page.evaluate("window.notReloaded = true")
    accessible(page)
    symbol = shopper.choose()
    accessible(page)
    page.get_by_label("Contracts").fill("3")
    ticket.get_by_role("button", name="Get a firm price").click()
    expect(ticket.get_by_text("Firm for")).to_be_visible()
    keep(shopper, "trade")
    keep_each(shopper, "trade-firm")
    shopper.press_while_firm("Buy for")
    shopper.sees_it_settled()
    expect(page.locator("#told")).to_contain_text(f"is done: buy 3 {symbol}")
    stack.manage("shell", "-c", PAST.format(name="amy"))
    page.locator("#past-1w").click()
    expect(page.locator("#portfolio polyline")).to_have_count(4)  # two lines, each with a gap
    expect(page.locator("#portfolio").get_by_text("There is a gap")).to_be_visible()
    accessible(page)
    assert wait_until(lambda: shopper.balance < 10_000, within_seconds=60)

    held = page.get_by_role("row", name=symbol).filter(has_text="3 contracts")
    held.get_by_role("link", name=f"Close {symbol}").click()
    accessible(page)
    page.get_by_label("Contracts").fill("1")
    before = shopper.balance
    ticket.get_by_role("button", name="Get a firm price").click()
    shopper.press_while_firm("Close for")
    assert wait_until(lambda: shopper.balance > before, within_seconds=60)
    shopper.sees_it_settled()

    expect(page.get_by_role("row", name=symbol).filter(has_text="USDT paid for 1 closed")).to_be_visible()
    page.keyboard.press("Escape")
    keep_each(shopper, "trade-partly-closed", "#positions-title")
    keep_each(shopper, "trade-portfolio", "#portfolio")
    page.locator("#span-1w").click()
    expect(page.locator("#index polyline")).to_be_visible()
    page.get_by_label("Volatility and delta").check()
    keep_each(shopper, "trade-chain")
    page.get_by_label("Volatility and delta").uncheck()
    page.get_by_role("link", name=f"Close {symbol}").click()
    ticket.get_by_role("button", name="Close now at the market price").click()
    shopper.sees_it_settled()
    expect(ticket.get_by_text("you were paid")).to_be_visible()
    expect(page.get_by_text("You hold no options")).to_be_visible()
    assert page.evaluate("window.notReloaded")

    shown = shopper.balance
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="Ledger").click()
    accessible(page)
    payout = page.get_by_role("row", name="option closed at the market price")
    expect(payout).to_have_count(1)
    after = Decimal(payout.get_by_role("cell").last.inner_text().replace(",", ""))
    assert after - Decimal("0.01") < shown <= after
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("columnheader", name="Guthaben danach")).to_be_visible()
    accessible(page)
    page.goto("/trade/")
    page.locator("a.price").first.click()
    expect(ticket.get_by_role("button", name="Festen Preis holen")).to_be_visible()
    accessible(page)
    keep_each(shopper, "trade-german")
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
    for key in ("Tab", "Tab", "Space", "Enter"):  # past the sum, to the risk
        page.keyboard.press(key)
    expect(shopper.ticket.get_by_text("This price has expired")).to_be_visible()
    assert comes_to("[data-when-expired]")
    page.keyboard.press("Enter")
    assert comes_to("[data-while-firm]")
    page.keyboard.press("Enter")
    expect(shopper.ticket.get_by_text("Bought 2")).to_be_visible()
    shopper.sees_it_settled()  # the result has been refreshed, and is still where the keyboard is
    assert comes_to("#placed .done")


def test_pressing_twice_buys_once(stack: Cockpit, browser: Browser) -> None:
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


def test_a_page_that_is_out_of_date_and_a_session_that_ended_say_so_and_lead_back(
    stack: Cockpit, browser: Browser
) -> None:
    shopper = Shopper(stack, browser, "kim")
    shopper.choose()
    shopper.looks_away()  # an answer that is under way would bring the cookie back
    shopper.context.clear_cookies(name="csrftoken")
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    expect(shopper.page.get_by_text("This page is out of date.")).to_be_visible()
    shopper.page.get_by_role("link", name="Load it again.").click()
    shopper.knows_the_risk()
    shopper.page.get_by_label("Contracts").fill("2")
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    expect(shopper.ticket.get_by_role("button", name="Buy for")).to_be_visible()
    shopper.looks_away()  # what refreshes by itself would notice first
    shopper.context.clear_cookies(name="sessionid")
    shopper.press_while_firm(
        "Buy for", until=shopper.page.get_by_text("Your session had ended when you pressed.")
    )
    accessible(shopper.page)
    keep_each(shopper, "trade-session-ended")
    shopper.log_in("kim", is_asked=True)
    expect(shopper.page.get_by_role("heading", name="Buy BTC")).to_be_visible()
    expect(shopper.page.get_by_label("Contracts")).to_have_value("2")
    assert shopper.orders() == 0


def test_what_the_balance_cannot_pay_is_said_before_anything_is_asked_for(
    stack: Cockpit, browser: Browser
) -> None:
    shopper = Shopper(stack, browser, "fay", balance="1")
    shopper.choose()
    expect(shopper.ticket.get_by_text("This costs more than your balance")).to_be_visible()
    expect(shopper.ticket.get_by_role("button", name="Get a firm price")).to_be_hidden()
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
        page.keyboard.press("Escape")
        keep_each(shopper, "trade-stopped")
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
    page.go_back()
    expect(shopper.ticket).to_be_hidden()
    page.get_by_label("Calls").check()
    shopper.choose()
    expect(page.get_by_label("Contracts")).to_be_focused()
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

    def comes_to_ask_for(part: str) -> None:
        with page.expect_request(lambda request: f"/trade/{part}/" in request.url):
            pass

    def asks_for(part: str) -> bool:
        asked.clear()
        page.wait_for_timeout(5000)  # longer than it waits between two requests
        return any(f"/trade/{part}" in url for url in asked)

    comes_to_ask_for("chain")
    page.get_by_role("button", name="Pause prices").click()
    assert not asks_for("chain")
    page.get_by_role("button", name="Pause prices").click()
    comes_to_ask_for("book")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    assert not asks_for("")


def test_on_a_slow_line_a_press_is_answered_before_the_server_is_and_the_ticket_follows_the_price(
    stack: Cockpit, browser: Browser
) -> None:
    shopper = Shopper(stack, browser, "liz")
    page, ticket = shopper.page, shopper.ticket

    held: list[Route] = []  # nothing is answered until the line lets it through
    page.route("**/trade/ticket/**", lambda route: held.append(route))
    page.locator(".is-at-the-money a.price").first.click()
    expect(ticket.get_by_text("The price is being asked for")).to_be_visible()
    accessible(page)
    for route in held:
        route.continue_()
    page.unroute("**/trade/ticket/**")
    total = ticket.locator(".sums dd.is-sum")
    expect(total).to_be_visible()
    expect(total).not_to_have_text(total.inner_text())  # by itself
    page.get_by_label("Or for").fill("100")
    expect(page.get_by_label("Contracts")).not_to_have_value("1")
    shopper.knows_the_risk()
    ticket.get_by_role("button", name="Get a firm price").click()
    before = shopper.balance
    shopper.looks_away()  # nothing refreshes by itself: the order's own answer has all of it
    shopper.press_while_firm("Buy for")
    assert shopper.balance < before
    expect(page.locator("tr[id^=holding]")).to_have_count(1)
    page.go_back()
    expect(ticket.get_by_role("heading", name="Buy")).to_be_hidden()
    page.go_forward()
    expect(page.get_by_label("Contracts")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Volatility and delta").check()
    page.get_by_role("link", name="ETH").click()
    expect(page.get_by_role("heading", name="ETH options")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Delta").first).to_be_visible()
    page.evaluate("document.getElementById('span-1h').click()")  # looked away: nothing else refreshes it
    expect(page.get_by_text("1 hour:")).to_be_visible()
    accessible(page)
    assert not shopper.errors


def test_more_than_100_positions_are_summed_up_paged_and_closed_from_inside_and_from_the_history(
    stack: Cockpit, browser: Browser
) -> None:
    stack.open_many("many", options=22, positions=110)
    shopper = Shopper(stack, browser, "many", balance=None, phone=True)
    page = shopper.page
    expect(page.get_by_text("Page 1 of 2 · 22 options, 110 positions")).to_be_visible()
    accessible(page)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("tr[id^=holding]")).to_have_count(2)
    page.get_by_role("link", name="Positions in").first.click()
    expect(page.locator("tr[id^=position]")).to_have_count(5)
    page.wait_for_timeout(2500)  # longer than it stays as it is: refreshing keeps what was chosen
    expect(page.locator("tr[id^=position]")).to_have_count(5)
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("tr[id^=position]").first.get_by_role("link").click()
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    shopper.press_while_firm("Close for")
    expect(page.locator("tr[id^=position]")).to_have_count(4)
    page.keyboard.press("Escape")
    keep_each(shopper, "trade-many", "#positions-title")
    page.get_by_role("link", name="Close all 4").click()
    shopper.ticket.get_by_role("button", name="Get a firm price for all").click()
    expect(shopper.ticket.get_by_role("button", name="Close 4 positions for")).to_be_visible()
    accessible(page)
    keep_each(shopper, "trade-close-all")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shopper.press_while_firm("Close 4 positions for")
    expect(shopper.ticket.get_by_text("Closed 4 positions for")).to_be_visible()
    accessible(page)
    expect(page.locator("tr[id^=position]")).to_have_count(0)
    page.goto("/trade/history/positions/")
    page.get_by_role("link", name="Close").first.click()
    shopper.ticket.get_by_role("button", name="Get a firm price").click()
    shopper.press_while_firm("Close for")
    expect(page.get_by_text("104 positions")).to_be_visible()
    page.goto("/trade/password/")
    accessible(page)
    page.get_by_role("link", name="API keys").click()
    page.get_by_label("Name").fill("my bot")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#secret")).to_contain_text("cbs_")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_works_without_scripts(stack: Cockpit, browser: Browser) -> None:
    shopper = Shopper(stack, browser, "jon", java_script_enabled=False)
    page = shopper.page
    page.get_by_role("link", name="ETH").click()
    page.locator("a.price").first.click()
    shopper.knows_the_risk()
    page.get_by_role("button", name="Get a firm price").click()
    expect(page.get_by_text("This price is firm until")).to_be_visible()
    page.get_by_role("button", name="Buy for").click()
    expect(page.get_by_text("Bought 1 ETH")).to_be_visible()
    page.reload()
    assert shopper.orders() == 1

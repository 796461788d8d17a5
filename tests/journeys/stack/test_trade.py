"""Customers in a real browser before a real stack: they buy, watch it settle, close and see their money.

`SCREENSHOTS=docs/images` keeps what they see, for the README.
"""

import json
from decimal import Decimal

from playwright.sync_api import Browser, expect

from tests.support.browsing import PASSWORD, SEEN_WITHIN_MS, Cockpit, seen_in_chromium
from tests.support.trade_pictures import keep, keep_each
from tests.support.trading import Shopper, accessible
from tools.stack.supervision import wait_until

pytestmark = seen_in_chromium

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

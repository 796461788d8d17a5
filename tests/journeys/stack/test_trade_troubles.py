"""Customers in a real browser when something is in their way: a lost answer, no connection, a slow line, a stop."""

from playwright.sync_api import Browser, Route, expect

from tests.support.browsing import SEEN_WITHIN_MS, Cockpit, seen_in_chromium
from tests.support.trade_pictures import keep_each
from tests.support.trading import Shopper, accessible

pytestmark = seen_in_chromium

expect.set_options(timeout=SEEN_WITHIN_MS)


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

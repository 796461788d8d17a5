"""Customers in a browser before a real stack, and what they do on the trade page."""

from contextlib import suppress
from decimal import Decimal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.support.browsing import PASSWORD, SEEN_WITHIN_MS, Cockpit, expiry_of
from tools.stack.supervision import wait_until

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
THROW = """
from django.utils import timezone
from counter.trading.switches import State, throw
throw(underlying={coin!r}, to=State({state!r}), reason="a journey", by="test", now=timezone.now())
"""


class Shopper:
    """A customer of the stack with a window of their own; one without a `balance` is there already."""

    def __init__(
        self,
        stack: Cockpit,
        browser: Browser,
        name: str,
        *,
        balance: str | None = "10000",
        phone: bool = False,
        **how,
    ) -> None:
        if balance is not None:
            stack.manage("create_customer", name, "--password", PASSWORD, "--deposit", balance)
        self.stack = stack
        self.context = browser.new_context(
            viewport=PHONE if phone else DESK,  # type: ignore[arg-type]
            base_url=stack.info.web_url,
            has_touch=phone,
            reduced_motion="reduce",  # contrast is judged at any moment, also while a button's colour changes
            **how,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(SEEN_WITHIN_MS)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.log_in(name)

    def log_in(self, name: str, *, is_asked: bool = False) -> None:
        """By the form, as everybody does, to options that live on for days; by the form of the page that asks."""
        if not is_asked:
            self.page.goto(f"/trade/?expiry={expiry_of(self.stack.symbol())}")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    @property
    def ticket(self) -> Locator:
        """The part of the page where orders are made."""
        return self.page.locator("#ticket")

    @property
    def balance(self) -> Decimal:
        """As the page shows it."""
        return Decimal(self.page.locator("#balance b").inner_text().replace(",", ""))

    def choose(self) -> str:
        """Open a ticket for the call that is at the money; its symbol."""
        link = self.page.locator(".is-at-the-money a.price:visible").first
        symbol = (link.get_attribute("id") or "").removeprefix("buy-")
        link.click()
        expect(self.page.get_by_role("heading", name=f"Buy {symbol}")).to_be_visible()
        self.knows_the_risk()
        return symbol

    def knows_the_risk(self) -> None:
        """Say so, where it is asked: on the ticket of a first order."""
        expect(self.page.get_by_label("Contracts")).to_be_visible()
        asked = self.ticket.get_by_label("I understand")
        if asked.is_visible():
            asked.check()

    def buy(self, contracts: int = 1) -> str:
        """From the choice to the order's first word; the symbol."""
        symbol = self.choose()
        self.page.get_by_label("Contracts").fill(str(contracts))
        self.ticket.get_by_role("button", name="Get a firm price").click()
        self.press_while_firm("Buy for")
        expect(self.ticket.get_by_text(f"Bought {contracts} {symbol}")).to_be_visible()
        return symbol

    def looks_away(self) -> None:
        """The page is hidden: from now on it asks for nothing by itself."""
        self.page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
        self.page.wait_for_load_state("networkidle")

    def press_while_firm(self, name: str, *, until: Locator | None = None) -> None:
        """Press a button with a firm price, asking anew as long as the machine was slower than that."""
        wanted = self.ticket.locator(".done") if until is None else until
        button = self.ticket.get_by_role("button", name=name)
        again = self.ticket.get_by_role("button", name="Get a new price")
        anew = self.ticket.get_by_role(
            "button", name="Get a firm price"
        )  # a full queue has refused the order

        def pressed() -> bool:
            for shown in (button, again, anew):
                if shown.is_visible():
                    with suppress(PlaywrightTimeout):  # it went while it was pressed
                        shown.click(timeout=1000)
                    break
            self.page.wait_for_timeout(300)
            return wanted.is_visible()

        assert wait_until(pressed, within_seconds=60), self.page.locator("main").inner_text()

    def sees_it_settled(self) -> None:
        """The order's steps come to their end by themselves."""
        expect(self.ticket.locator(".steps .is-done")).to_have_count(3)

    def orders(self) -> int:
        """How many orders the customer has, as the history tells."""
        history = self.context.request.get("/trade/history/orders/")
        return history.text().count('<tr id="order-')

    def throw(self, coin: str, state: str) -> None:
        """Have a person throw a kill switch."""
        self.stack.manage("shell", "-c", THROW.format(coin=coin, state=state))


def accessible(page: Page, *, within: str | None = None) -> None:
    """Axe finds nothing that keeps anybody out; `within` a part of the page, by its selector."""
    results = Axe().run(page, context=within)
    assert not results.violations_count, results.generate_report()

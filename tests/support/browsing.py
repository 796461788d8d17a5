"""A browser in front of a real stack, and the people who sit at it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from counter.public_ids import Kind, PublicIds
from tests.support.databases import copied
from tests.support.insisting import Customer
from tests.support.management import Management
from tests.support.skips import needs
from tools import stack
from tools.embedded import valkey
from tools.stack.supervision import wait_until

# The shell has no windows around its pages, which cost as much CPU as those; and no notifications. Debian, Fedora and
# Google name the whole browser differently.
WHOLE = next(
    filter(
        None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"))
    ),
    None,
)
ARGUMENTS = ["--no-sandbox"]
CHROMIUM = shutil.which("chromium-headless-shell") or WHOLE
seen_in_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason=needs("chromium-headless-shell", "no page was seen in a browser")
)
seen_in_whole_chromium = pytest.mark.skipif(
    WHOLE is None, reason=needs("chromium", "no notification was seen")
)
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-password-of-the-test"
PLACED_WITHIN_SECONDS = 60.0
A_DAY = timedelta(days=1)
SEEN_WITHIN_MS = 60_000  # generous for a machine that does other things
MAKE_STAFF = """
from django.contrib.auth.models import Group, User
user = User.objects.create_user({name!r}, password={password!r}, is_staff=True)
user.groups.add(Group.objects.get(name={role!r}))
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def expiry_of(symbol: str) -> date:
    """The day that an option's symbol names."""
    return datetime.strptime(f"{symbol.split('-')[1]}Z", "%d%b%y%z").date()


class Cockpit:
    """A running stack of its own, a customer of it, and its venue's faults."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        databases = copied(f"stack_{os.urandom(4).hex()}")
        self._given = {**kept, **databases, "PORT": str(valkey.free_port())}
        self.info = stack.start(var_dir=var_dir, given=self._given)
        environment = {**self._given, **self.info.environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
        self._management = Management(environment)
        self._session = requests.Session()
        self._session.trust_env = False
        token = self.manage("create_customer", "alice", "--deposit", "1000000").strip()
        self._session.headers["Authorization"] = f"Token {token}"

    def stop(self) -> None:
        """End the stack, and leave nothing of it."""
        self._session.close()
        self._management.close()
        stack.stop(var_dir=self.var_dir)

    def manage(self, *arguments: str) -> str:
        """What a command of this stack prints."""
        return self._management.run(*arguments)

    def customer(self, name: str) -> Customer:
        """Make a customer with money and an API key."""
        self.manage("create_customer", name, "--deposit", "1000000")
        printed = self.manage("create_api_key", name)
        key, secret = (line.partition("=")[2] for line in printed.split())
        return Customer(self.info.web_url, key, secret)

    def tool(self, command: str) -> str:
        """What `python -m tools.stack` prints for this stack. Raises: AssertionError with it if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "tools.stack", "--var-dir", str(self.var_dir), command],
            cwd=ROOT,
            env=self._given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def hire(self, name: str, role: str) -> None:
        """Make a member of staff with a role."""
        self.manage("shell", "-c", MAKE_STAFF.format(name=name, password=PASSWORD, role=role))

    def symbol(self, coin: str = "BTC") -> str:
        """An option of the coin that has a price now and lives on for days, once there is one."""
        found: list[str] = []

        def is_quoted() -> bool:
            found[:] = [quote["symbol"] for quote in self._offered() if quote["symbol"].startswith(coin)]
            return bool(found)

        assert wait_until(is_quoted, within_seconds=SEEN_WITHIN_MS / 1000)
        return found[0]

    def _offered(self) -> list[dict[str, str]]:
        """What can be bought and sold, at any time of the day: an option's last hours have prices of their own."""
        return [
            quote
            for quote in self._get("quotes")["results"]
            if quote["cost"]
            and quote["proceeds"]
            and expiry_of(quote["symbol"]) > datetime.now(UTC).date() + A_DAY
        ]

    def order(self, client_order_id: str, *, symbol: str) -> int:
        """Open one position; the order's id. Sent again while the answer is 503, as the API tells its callers."""
        body = {"type": "open", "client_order_id": client_order_id, "symbol": symbol, "contracts": 1}
        deadline = time.monotonic() + PLACED_WITHIN_SECONDS
        while True:
            answer = self._session.post(f"{self.info.web_url}/api/v1/orders", json=body, timeout=30)
            if answer.status_code != 503 or time.monotonic() > deadline:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        assert answer.status_code == 201, answer.text
        return self._public_ids.row_id(Kind.ORDER, answer.json()["id"])

    def settled(self, client_order_id: str, coin: str) -> int:
        """Open one position, and wait until its order is settled; its id."""
        order_id = self.order(client_order_id, symbol=self.symbol(coin))
        assert wait_until(lambda: self.state(order_id) == "settled", within_seconds=SEEN_WITHIN_MS / 1000)
        return order_id

    def open_many(self, name: str, *, options: int, positions: int) -> None:
        """Make a customer with so many positions, the options taking turns."""
        token = self.manage("create_customer", name, "--password", PASSWORD, "--deposit", "100000").strip()
        offered = self._offered()[:options]
        assert len(offered) == options
        orders = [
            {
                "type": "open",
                "client_order_id": f"{name}-{number}",
                "symbol": offered[number % options]["symbol"],
                "contracts": 1,
                "max_cost": str(Decimal(offered[number % options]["cost"]) * 5),  # however the price moves
            }
            for number in range(positions)
        ]
        answer = self._session.post(
            f"{self.info.web_url}/api/v1/orders/batch",
            json={"orders": orders},
            headers={"Authorization": f"Token {token}"},
            timeout=60,
        )
        answer.raise_for_status()
        assert all(each["status"] == 201 for each in answer.json()["results"]), answer.text

    def state(self, order_id: int) -> str:
        """What counter says of an order."""
        return self._get(f"orders/{self._public_ids.public_id(Kind.ORDER, order_id)}")["state"]

    @property
    def _public_ids(self) -> PublicIds:
        return PublicIds(self.info.environment["PUBLIC_IDS_KEY"])

    def fault(self, **fault: Any) -> None:
        """Have the venue do something wrong."""
        url = f"{self.info.environment['VENUE_URL']}/paper/faults"
        self._session.post(url, json=fault, timeout=30).raise_for_status()

    def _get(self, path: str) -> Any:
        answer = self._session.get(f"{self.info.web_url}/api/v1/{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def log_in(self, browser: Browser, name: str) -> Page:
        """A person's own window, on the first page after the login."""
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=self.info.web_url)
        page = context.new_page()
        page.set_default_timeout(SEEN_WITHIN_MS)
        page.goto("/admin/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.locator("#cockpit").wait_for()
        return page

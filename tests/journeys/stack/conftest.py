"""One stack and one browser for all journeys of a browser: each stack costs 30 s of CPU to start."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.browsing import Cockpit


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cockpit]":
    from tests.support.browsing import Cockpit

    made = Cockpit(tmp_path_factory.mktemp("stack") / "var")
    try:
        for coin in ("BTC", "ETH"):  # of which test_execution.py wants to know after a minute
            made.settled(f"the-first-{coin}", coin)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="package")
def shared_browser() -> "Iterator[Browser]":
    from tests.support.browsing import chromium

    with chromium() as made:
        yield made


@pytest.fixture
def browser(shared_browser: "Browser") -> "Iterator[Browser]":
    """The browser; the windows of a test go with it, or their pages would ask for prices until the last one is over."""
    yield shared_browser
    for window in shared_browser.contexts:
        window.close()

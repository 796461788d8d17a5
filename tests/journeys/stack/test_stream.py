"""A page of the web program listens with its session: sent on to another port, anew when the process is replaced."""

import os
import signal

import psutil
from playwright.sync_api import Browser

from tests.support.browsing import SEEN_WITHIN_MS, Cockpit, seen_in_chromium
from tests.support.trading import Shopper
from tools.stack.supervision import wait_until

pytestmark = seen_in_chromium

LISTEN = """() => {
    window.heard = [];
    const source = new EventSource("/api/v1/stream?channels=orders", {withCredentials: true});
    for (const name of ["snapshot", "order", "end"])
        source.addEventListener(name, event => window.heard.push([name, JSON.parse(event.data)]));
}"""


def test_a_page_listens_across_ports_and_comes_again_by_itself(stack: Cockpit, browser: Browser) -> None:
    page = Shopper(stack, browser, "lea").page
    page.goto("/healthz")
    page.evaluate(LISTEN)
    page.wait_for_function("window.heard.length == 1", timeout=SEEN_WITHIN_MS)
    [program] = [process.pid for process in stack.info.processes if process.name == "stream"]
    assert program
    [old] = psutil.Process(program).children()
    os.kill(program, signal.SIGHUP)
    page.wait_for_function(
        "window.heard.at(-1)[0] == 'snapshot' && window.heard.length == 3", timeout=SEEN_WITHIN_MS
    )
    heard = page.evaluate("window.heard")
    assert [name for name, _ in heard] == ["snapshot", "end", "snapshot"]
    assert wait_until(lambda: not old.is_running(), within_seconds=60)

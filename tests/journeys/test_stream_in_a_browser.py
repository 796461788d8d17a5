"""A page of the web program listens with its session: sent on to another port, anew when the process is replaced."""

import signal

import psutil
import pytest
from django.conf import settings
from django.test import Client

from config.stack.supervision import wait_until
from tests.support.browsing import CHROMIUM, chromium
from tests.support.factories import make_customer
from tests.support.web import Stream, Web

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: no page has listened"),
]

LISTEN = """() => {
    window.heard = [];
    const source = new EventSource("/api/v1/stream?channels=orders", {withCredentials: true});
    for (const name of ["snapshot", "order", "end"])
        source.addEventListener(name, event => window.heard.push([name, JSON.parse(event.data)]));
}"""
SOON_MS = 60_000


def test_a_page_listens_across_ports_and_comes_again_by_itself(broker, tmp_path):
    # Django's test client of this process, the web program and the stream program share sessions by these keys.
    keys = {"SECRET_KEY": settings.SECRET_KEY}
    (tmp_path / "stream").mkdir()
    (tmp_path / "web").mkdir()
    stream = Stream(tmp_path / "stream", **keys)
    web = Web(tmp_path / "web", STREAM_URL=stream.url, **keys)
    session = Client()
    session.force_login(make_customer().user)
    cookie = {"name": "sessionid", "value": session.cookies["sessionid"].value, "url": web.url}
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies([cookie])
        page = context.new_page()
        page.goto(f"{web.url}/healthz")
        page.evaluate(LISTEN)
        page.wait_for_function("window.heard.length == 1", timeout=SOON_MS)
        [old] = psutil.Process(stream.process.pid).children()
        stream.process.send_signal(signal.SIGHUP)
        page.wait_for_function(
            "window.heard.at(-1)[0] == 'snapshot' && window.heard.length == 3", timeout=SOON_MS
        )
        heard = page.evaluate("window.heard")
    assert [name for name, _ in heard] == ["snapshot", "end", "snapshot"]
    assert wait_until(lambda: not old.is_running(), within_seconds=60)
    web.stop()
    stream.stop()

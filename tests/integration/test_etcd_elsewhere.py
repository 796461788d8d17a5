"""etcd's leader is kept off the primary's host: three members of a real etcd, each on a loopback address of its own."""

import importlib.util
import shutil
import subprocess
import threading
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import ending
from tests.support.skips import needs
from tools.stack.supervision import wait_until

SCRIPT = Path(__file__).resolve().parents[2] / "deploy/patroni/etcd_elsewhere.py"
HOSTS = [f"127.77.0.{number}" for number in (1, 2, 3)]
SOON = 60


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("etcd_elsewhere", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def members(tmp_path, script):
    """Of an etcd that has a leader."""
    if shutil.which("etcd") is None:
        pytest.skip(needs("etcd-server", "not tried with an etcd"))
    peers = ",".join(f"m{host[-1]}=http://{host}:2380" for host in HOSTS)
    with ExitStack() as stopping:
        for host in HOSTS:
            told = {
                "name": f"m{host[-1]}",
                "data-dir": tmp_path / host,
                "listen-peer-urls": f"http://{host}:2380",
                "initial-advertise-peer-urls": f"http://{host}:2380",
                "listen-client-urls": f"http://{host}:2379",
                "advertise-client-urls": f"http://{host}:2379",
                "initial-cluster": peers,
            }
            command = ["etcd", *(f"--{name}={value}" for name, value in told.items())]
            started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stopping.callback(ending.kill, started)
        assert wait_until(lambda: leader(script), within_seconds=SOON)
        yield


def leader(script) -> str | None:
    """The host whose member leads, as all of them say."""
    with suppress(OSError, KeyError):
        told = {host: script.etcd(host, "maintenance/status") for host in HOSTS}
        [leading] = {status["leader"] for status in told.values()}
        return next(host for host, status in told.items() if status["header"]["member_id"] == leading)
    return None


def test_a_leader_moves_away_and_one_that_does_not_lead_moves_nothing(script, members):
    first = leader(script)
    standby = next(host for host in HOSTS if host != first)
    assert not script.move_away(standby)
    assert leader(script) == first
    assert script.move_away(first)
    assert wait_until(lambda: leader(script) not in (None, first), within_seconds=SOON)


@pytest.mark.parametrize(("status", "told"), [(200, True), (503, False)])
def test_patroni_says_whether_its_host_has_the_primary(script, monkeypatch, status, told):
    class Patroni(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/primary" else 404)
            self.end_headers()

        def log_message(self, *told: object) -> None:
            """Nothing is told."""

    patroni = ThreadingHTTPServer(("127.0.0.1", 0), Patroni)
    serving = threading.Thread(target=patroni.serve_forever)
    serving.start()
    try:
        monkeypatch.setattr(script, "PATRONI_PORT", patroni.server_port)
        assert script.is_primary("127.0.0.1") is told
    finally:
        patroni.shutdown()
        serving.join()
        patroni.server_close()
    assert not script.is_primary("127.0.0.1")


def test_while_etcd_has_no_leader_there_is_nothing_to_move(script, monkeypatch):
    """Its answer leaves the field out then."""
    monkeypatch.setattr(script, "etcd", lambda host, call: {"header": {"member_id": "7"}})
    assert not script.move_away("10.0.0.1")

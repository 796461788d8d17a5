"""A disk without space: orders are refused clearly, nothing is lost, and all returns by itself with the space."""

import os
import signal
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace

import psutil
import psycopg
import pytest
import redis
import requests

from tests.recovery.test_stack_supervisor import _answers, _pid, _plan
from tests.support.management import Management
from tests.support.small_disk import small_disk
from tests.support.template import kept_data
from tests.support.web import SOON
from tools import stack
from tools.embedded import processes
from tools.stack import lifecycle, programs
from tools.stack.supervision import Supervisor, wait_until

RETURNS_WITHIN_SECONDS = 60.0
MEGABYTES = 300
ORDERS_AT_ONCE = 200
OF_THE_DATABASE = {"unavailable", "outcome_unknown"}
# What takes, settles and audits orders; the rest of the stack would only start.
NEEDED = ("postgres", "valkey", "venue", "web", "intake", "worker", "beat", "feed")


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", megabytes=MEGABYTES) as disk:
        yield disk


@pytest.fixture
def var_dir(disk):
    folder = disk.folder / "var"
    yield folder
    stack.stop(var_dir=folder)
    assert not processes.marked(var_dir=folder)


def supervisord(var_dir):
    guards = processes.marked(var_dir=var_dir, program="guard")
    [child] = [
        child for guard in guards for child in guard.children() if "supervisord" in " ".join(child.cmdline())
    ]
    return child


def test_a_full_disk_ends_no_supervisor_and_what_dies_meanwhile_comes_back_with_the_space(disk, var_dir):
    info = lifecycle.run(plan=_plan(var_dir), given=os.environ, attached=True)
    before = supervisord(var_dir)
    disk.fill()
    for name in ("valkey", "master"):
        os.kill(_pid(info, name), signal.SIGKILL)
    time.sleep(5)  # deaths and tries to start, each of them a line for a log that takes none
    assert supervisord(var_dir) == before
    disk.free()
    assert wait_until(
        lambda: _pid(info, "master") and _pid(info, "valkey"), within_seconds=RETURNS_WITHIN_SECONDS
    )
    assert wait_until(lambda: _is_up(info), within_seconds=RETURNS_WITHIN_SECONDS)


def _is_up(info):
    try:
        return _answers(info)
    except redis.RedisError:
        return False


def test_a_supervisor_that_is_killed_is_started_again_with_its_programs(tmp_path):
    var_dir = tmp_path / "var"
    info = lifecycle.run(plan=_plan(var_dir), given=os.environ, attached=True)
    try:
        killed = supervisord(var_dir)
        killed.kill()
        assert wait_until(lambda: _states(var_dir) == {"RUNNING"}, within_seconds=RETURNS_WITHIN_SECONDS)
        assert supervisord(var_dir) != killed
        assert psutil.pid_exists(info.pid)  # its guard, by which the stack is known
        assert wait_until(lambda: _is_up(info), within_seconds=RETURNS_WITHIN_SECONDS)
    finally:
        lifecycle.stop(var_dir=var_dir)
    assert not processes.marked(var_dir=var_dir)


def _states(var_dir):
    try:
        return {each.state for each in Supervisor(var_dir).processes()}
    except OSError:
        return set()


class Customer:
    """Places orders over HTTP, each under an id of its own."""

    def __init__(self, info, token):
        self.url, self.session = info.web_url, requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Token {token}"
        self.placed, self.refused = set(), set()

    def quote(self):
        """A quote that can be bought, or None."""
        answer = self.session.get(f"{self.url}/api/v1/quotes", params={"underlying": "BTC"}, timeout=10)
        rows = answer.json()["results"] if answer.ok else []
        return next((row for row in rows if row["cost"] and row["proceeds"]), None)

    def open_many(self, quote):
        """Status and codes of one batch; each order that was placed or refused is remembered by its id."""
        orders = [
            {
                "type": "open",
                "client_order_id": uuid.uuid4().hex,
                "symbol": quote["symbol"],
                "contracts": 1,
                "max_cost": "100000",
            }
            for _ in range(ORDERS_AT_ONCE)
        ]
        ids = {order["client_order_id"] for order in orders}
        answer = self.session.post(f"{self.url}/api/v1/orders/batch", json={"orders": orders}, timeout=20)
        if answer.ok:
            rejected = {
                order["client_order_id"]
                for order, result in zip(orders, answer.json()["results"], strict=True)
                if "error" in result
            }
            self.placed |= ids - rejected
            self.refused |= rejected
        else:
            self.refused |= ids
        return answer


@contextmanager
def managing(info):
    """The stack's management commands, in one process."""
    management = Management({**os.environ, **info.environment, "VAR_DIR": str(info.var_dir)})
    try:
        yield management
    finally:
        management.close()


def given():
    """The environment without this session's servers and keys: the stack brings its own."""
    ours = ("DATABASE_URL", "DESK_DATABASE_URL", "BROKER_URL", "TEST_BROKER_URL", "SECRET_KEY", "SERVICE_KEY")
    ours += ("WALLET_KEY", "API_KEYS_SECRET", "PUBLIC_IDS_KEY", "VAR_DIR", "DJANGO_SETTINGS_MODULE")
    return {name: value for name, value in os.environ.items() if name not in ours} | {
        "CUSTOMER_ORDERS_PER_S": "100000",
        "WEB_PROCESSES": "1",
    }


def lean_plan(var_dir):
    """The needed programs, with PostgreSQL on a copy of data that are migrated already."""
    planned = programs.plan(var_dir=var_dir, given=given())
    needed = {program.name: program for program in planned.programs if program.name in NEEDED}
    command = (*needed["postgres"].command, "--copy-of", str(kept_data()))
    needed["postgres"] = replace(needed["postgres"], command=command)
    return replace(planned, programs=tuple(needed.values()), preparations=())


def test_a_database_without_space_refuses_orders_clearly_and_all_returns_by_itself(disk, var_dir):
    var_dir.mkdir()
    info = lifecycle.run(plan=lean_plan(var_dir), given=given(), attached=True)
    with managing(info) as management:
        refuses_and_returns(disk, info, management)


def refuses_and_returns(disk, info, management):
    token = management.run("create_customer", "alice", "--deposit", "50000000").strip()
    customer = Customer(info, token)
    assert wait_until(customer.quote, within_seconds=30)
    quote = customer.quote()
    assert customer.open_many(quote).ok

    disk.fill()
    codes = []
    until = time.monotonic() + 45
    while time.monotonic() < until and sum(code in OF_THE_DATABASE for code in codes) < 5:
        try:
            answer = customer.open_many(quote)
        except requests.ConnectionError:
            pytest.fail("web went away")
        if answer.status_code == 503:
            codes.append(answer.json()["error"]["code"])
            time.sleep(1)
    assert OF_THE_DATABASE & set(codes), "the database never ran out of space"
    assert set(codes) <= OF_THE_DATABASE | {"desk_behind"}  # which cannot store what it settles either
    assert requests.get(f"{info.web_url}/healthz", timeout=SOON).status_code == 200

    disk.free()
    assert wait_until(lambda: _placed_one(customer), within_seconds=RETURNS_WITHIN_SECONDS, every_seconds=1)
    assert wait_until(
        lambda: is_clean(management), within_seconds=RETURNS_WITHIN_SECONDS, every_seconds=0.5
    ), management.run("audit", "--json")
    assert customer.placed <= _stored(info)


def _placed_one(customer):
    quote = customer.quote()
    return bool(quote) and customer.open_many(quote).ok


def is_clean(management):
    """Whether the audit finds nothing broken and nothing overdue."""
    try:
        management.run("audit", "--json")
    except AssertionError:
        return False
    return True


def _stored(info):
    """The client order ids of all orders in counter's database."""
    with psycopg.connect(info.environment["DATABASE_URL"]) as connection:
        return {name for (name,) in connection.execute("SELECT client_order_id FROM counter_syncorder")}

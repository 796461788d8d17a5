"""Clients that generators make of the served schema, unchanged, do all that a customer can ask for.

Each session opens, reads and closes, calls every other operation once, and tells which ones it has called.
"""

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal

import pytest
import requests
from django.utils import timezone

from counter.models import Account, Position, SyncOrder
from counter.money import withdrawals
from tests.support.api_keys import SigningCaller
from tests.support.clients import CLIENTS, node_packages, played, python_packages
from tests.support.factories import make_customer, make_option

GENERATED = CLIENTS / "generated"
GENERATING_SECONDS = 300


@pytest.fixture
def schema(web, tmp_path):
    """The file that a generator reads, and what is in it."""
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(f"{web.url}/api/schema", headers={"Accept": "application/json"}, timeout=60)
    file = tmp_path / "schema.json"
    file.write_bytes(answer.content)
    return file, answer.json()


@pytest.fixture
def asking(web, stream):
    """A customer with a key and a withdrawal, and what a session is told: addresses, the key, an option."""
    customer = make_customer()
    withdrawals.reserve(customer_id=customer.pk, amount=Decimal(5), reference="w", now=timezone.now())
    signer = SigningCaller(customer)
    option = make_option()
    return customer, [web.url, stream.url, signer.key.public_id, signer.secret, option.symbol]


def run(command, *, cwd, packages=None):
    """A program of the packages, which says nothing that would have to be heeded."""
    path = os.pathsep.join((str(packages / "bin"), os.environ["PATH"])) if packages else os.environ["PATH"]
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path, **({"PYTHONPATH": str(packages)} if packages else {})},
        capture_output=True,
        text=True,
        timeout=GENERATING_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def operations(schema):
    """The id of each operation by method and path."""
    return {
        f"{method.upper()} {path}": operation["operationId"]
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def check(seen, customer):
    """What a session saw is what the books say."""
    orders = list(SyncOrder.objects.filter(customer=customer).order_by("pk"))
    assert [(order.client_order_id, order.kind) for order in orders] == [
        ("a", "OPEN"),
        ("b", "CLOSE"),
        ("c", "CLOSE"),
    ]
    opened, *closes = orders
    assert Decimal(seen["strike"]) == Position.objects.get().option.strike
    assert [Decimal(cost) for cost in seen["cost"]] == [opened.amount] * 2
    assert [Decimal(each) for each in seen["proceeds"]] == [order.amount for order in closes]
    assert (seen["statuses"], seen["batch_error"]) == ([201, 404], "option_not_found")
    assert seen["pending"] == ["c", "b", "a"]
    assert seen["position"] == ["closed", 0]
    assert {Decimal(balance) for balance in seen["balance"]} == {
        Account.objects.get(customer=customer).balance
    }
    assert sorted(seen["kinds"]) == ["close", "close", "deposit", "open", "spread", "withdrawal"]
    assert seen["csv_lines"] == 1 + len(seen["kinds"])
    assert seen["withdrawal"] == ["reserved", "5.000000"]
    assert seen["event"] == "snapshot"
    assert seen["endpoint"] == ["customer", "order.settled"]
    assert seen["error"] == ["position_too_small", False]
    assert seen["limited"] == ["notional_limit", "notional", "5000000.000000", "5000000.000000"]


def test_a_python_client_does_all_that_a_customer_can(schema, asking, tmp_path):
    file, told = schema
    packages = python_packages("generated/requirements.lock")
    (tmp_path / "client").mkdir()
    run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", file),
            *("--meta", "none", "--output-path", tmp_path / "client" / "crossbook", "--fail-on-warning"),
        ],
        cwd=tmp_path,
        packages=packages,
    )
    customer, arguments = asking
    path = os.pathsep.join((str(packages), str(tmp_path / "client")))
    command = [sys.executable, str(GENERATED / "session.py"), *arguments]
    seen = played(command, environment={"PYTHONPATH": path})
    assert set(seen["called"]) == set(operations(told).values())
    check(seen, customer)


# Orders that the API would refuse: types that allow everything would check nothing.
WRONG = {
    "a close of nothing": '{ type: "close", client_order_id: "a" }',
    "an unknown payout": '{ type: "close", client_order_id: "a", position_id: 1, payout: "later" }',
    "an unknown type": '{ type: "exercise", client_order_id: "a", position_id: 1 }',
    "an open of nothing": '{ type: "open", client_order_id: "a", contracts: 1 }',
}


def test_a_typescript_client_is_sound_refuses_what_the_api_would_and_does_all_that_a_customer_can(
    schema, asking, tmp_path
):
    """Compiled once, for the compiler takes 5 s of CPU: the only errors are the wrong orders' lines."""
    file, told = schema
    packages = node_packages("generated")
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "node_modules").symlink_to(packages / "node_modules")
    (folder / "package.json").write_text(json.dumps({"type": "module"}))
    shutil.copy(GENERATED / "session.ts", folder)
    settings = json.loads((GENERATED / "tsconfig.json").read_text())
    settings["files"].append("wrong.ts")
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    lines = ['import type { components } from "./crossbook.js";']
    lines += [
        f'export const o{n}: components["schemas"]["NewOrder"] = {order};'
        for n, order in enumerate(WRONG.values())
    ]
    (folder / "wrong.ts").write_text("\n".join(lines))
    programs = folder / "node_modules" / ".bin"
    run([programs / "openapi-typescript", file, "--output", "crossbook.d.ts"], cwd=folder)
    compiled = subprocess.run(
        [str(programs / "tsc"), "--pretty", "false"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=GENERATING_SECONDS,
        check=False,
    )
    errors = {line.partition(",")[0] for line in compiled.stdout.splitlines() if not line.startswith(" ")}
    assert errors == {f"wrong.ts({number + 2}" for number in range(len(WRONG))}, compiled.stdout
    customer, arguments = asking
    seen = played(["node", str(folder / "session.js"), *arguments])
    assert {operations(told)[each] for each in seen["called"]} == set(operations(told).values())
    check(seen, customer)

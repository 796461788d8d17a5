"""What docs/webhooks.md has receivers verify messages with takes ours, and nothing that was changed on its way."""

import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from counter.access import webhook_endpoints
from counter.money.accounts import deposit
from counter.webhooks import delivering
from tests.support.clients import node_packages
from tests.support.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text()
SECRET = '"whsec_..."'
# What a receiver has by then: the body as text, and the headers by their names in lower case.
AROUND = """
import { readFileSync } from "node:fs";
const given = JSON.parse(readFileSync(0, "utf8"));
const { body, headers } = given;
let told;
try {
  %s
  told = { event };
} catch (error) {
  told = { refused: error.name, message: error.message };
}
console.log(JSON.stringify(told));
"""


def snippet(language):
    """The lines that the page has for a language."""
    [block] = re.findall(rf"In {language} \(.*?\):\n\n((?:    .*\n)+)", PAGE)
    assert SECRET in block
    return [line.removeprefix("    ") for line in block.splitlines()]


@pytest.fixture
def sent(receiver):
    """A message as its receiver got it, with the secret."""
    customer = make_customer(balance="0")
    made = webhook_endpoints.register(customer_id=customer.pk, url=receiver.url(), now=timezone.now())
    deposit(customer_id=customer.pk, amount=Decimal(5), reference="d", now=timezone.now())
    assert delivering.deliver(clock=timezone.now) == 1
    [message] = receiver.got
    return message["body"], message["headers"], made.secret


def test_the_lines_for_python_verify_a_message_and_refuse_another(sent):
    body, headers, secret = sent
    program = "\n".join(snippet("Python")).replace(SECRET, repr(secret))
    seen = {"body": body.encode(), "headers": headers}
    exec(program, seen)  # noqa: S102 - the page's own lines
    assert seen["event"] == json.loads(body)
    for changed in (
        {"body": body.replace("5.0", "6.0").encode()},
        {"headers": headers | {"webhook-id": "evt_1"}},
    ):
        with pytest.raises(WebhookVerificationError):
            exec(program, {"body": body.encode(), "headers": headers} | changed)  # noqa: S102


def verified_by_node(folder, body, headers, secret):
    first, *rest = snippet("Node")
    assert first.startswith("import ")
    program = first + AROUND % "\n  ".join(rest).replace(SECRET, json.dumps(secret))
    (folder / "receiver.mjs").write_text(program)
    done = subprocess.run(
        ["node", str(folder / "receiver.mjs")],
        input=json.dumps({"body": body, "headers": headers}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_lines_for_node_verify_a_message_and_refuse_another(sent, tmp_path):
    body, headers, secret = sent
    shutil.copytree(node_packages("webhooks") / "node_modules", tmp_path / "node_modules")
    assert verified_by_node(tmp_path, body, headers, secret) == {"event": json.loads(body)}
    changed = verified_by_node(tmp_path, body.replace("5.0", "6.0"), headers, secret)
    assert changed.get("event") is None
    assert "signature" in changed["message"].lower()

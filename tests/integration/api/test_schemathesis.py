"""All that the schema allows or forbids, sent to the running web program: it answers as its schema says, never by 5xx.

`SCHEMATHESIS_EXAMPLES` asks for more than the few of every run, `SCHEMATHESIS_SEED` for others.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from counter.models import Account, SyncOrder
from tests.support.api_keys import SigningCaller
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.web import Web

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "20")
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
WITHIN_SECONDS = 600 + 10 * int(EXAMPLES)  # so that it does not hang; no promise
COMMAND = (str(Path(sys.executable).with_name("schemathesis")), "--no-color")
CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def web(transactional_db, broker, tmp_path):
    """No feed runs beside it: its quotes count as fresh for a day. Nobody is throttled."""
    unthrottled = {"REQUESTS_PER_SECOND": "100000", "REQUESTS_AT_ONCE": "100000", "WEB_PROCESSES": "1"}
    started = Web(tmp_path, QUOTE_STALE_AFTER_SECONDS="86400", **unthrottled)
    yield started
    started.stop()


@pytest.mark.property
def test_every_answer_is_as_the_schema_says(web, tmp_path):
    customer = make_customer()
    signer = SigningCaller(customer)
    opened = place_open(customer, make_option(), contracts=3)
    place_close(opened, contracts=1)
    run = subprocess.run(
        [
            *(*COMMAND, "--config-file", str(CONFIG), "run", f"{web.url}/api/schema"),
            *("--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure"),
            *("--generation-database", "none", "--report-dir", str(tmp_path)),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": HOOKS.stem,
            "PYTHONPATH": os.pathsep.join((str(HOOKS.parent), str(ROOT))),
            "CROSSBOOK_KEY": signer.key.public_id,
            "CROSSBOOK_SECRET": signer.secret,
        },
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    asked = re.search(r"(\d+) generated", run.stdout)
    assert asked is not None
    assert int(asked[1]) > 10 * int(EXAMPLES), run.stdout
    assert re.search(r"Selected: +(\d+)/\1\n +Tested: +\1\n", run.stdout), run.stdout
    assert "Traceback" not in web.log
    assert SyncOrder.objects.filter(customer=customer).count() >= 2
    assert Account.objects.get(customer=customer).balance > 0

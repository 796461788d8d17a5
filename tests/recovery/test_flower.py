"""Flower as the stack starts it: who has no login sees nothing of the workers and can stop none."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings

from config.embedded import keys, processes
from config.stack.programs import FLOWER_USER, Plan, plan
from config.stack.supervision import wait_until

pytestmark = pytest.mark.slow

SOON = 60.0


@pytest.fixture
def flower(broker_url: str, tmp_path: Path) -> Iterator[Plan]:
    planned = plan(var_dir=tmp_path, given={"BROKER_URL": broker_url})
    [program] = [program for program in planned.programs if program.name == "flower"]
    with (tmp_path / "flower.log").open("w") as log:
        process = subprocess.Popen(
            program.command,
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                **planned.environment,
                **processes.mark(var_dir=tmp_path, program="flower"),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        assert wait_until(lambda: _answers(planned.flower_url), within_seconds=SOON), (
            tmp_path / "flower.log"
        ).read_text()
        yield planned
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(SOON)


def _answers(url: str) -> bool:
    try:
        return bool(requests.get(url, timeout=5).status_code)
    except requests.ConnectionError:
        return False


def test_flower_answers_only_who_has_the_stacks_login(flower: Plan, tmp_path: Path):
    login = (FLOWER_USER, keys.stored(tmp_path)["FLOWER_PASSWORD"])
    for path in ("/", "/workers", "/tasks", "/api/workers"):
        assert requests.get(flower.flower_url + path, timeout=10).status_code == 401
        assert requests.get(flower.flower_url + path, auth=(FLOWER_USER, ""), timeout=10).status_code == 401
    shutdown = f"{flower.flower_url}/api/worker/shutdown/any"
    assert requests.post(shutdown, timeout=10).status_code == 401
    assert requests.get(f"{flower.flower_url}/workers", auth=login, timeout=10).status_code == 200
    assert login[1] not in (tmp_path / "flower.log").read_text()

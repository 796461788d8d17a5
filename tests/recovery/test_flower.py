"""Flower as the stack starts it: who has no login sees nothing of the workers and can stop none."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from tests.support import ending
from tests.support.web import STARTS_WITHIN_SECONDS, Programs
from tools.embedded import keys, processes, valkey
from tools.stack.programs import FLOWER_USER, StackPlan, plan
from tools.stack.supervision import wait_until


@pytest.fixture
def flower(broker_url: str, tmp_path: Path) -> Iterator[StackPlan]:
    # Not beside the default port, where a stack of another test may have its Flower.
    planned = plan(var_dir=tmp_path, given={"BROKER_URL": broker_url, "PORT": str(valkey.free_port())})
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
        assert wait_until(lambda: _answers(planned.flower_url), within_seconds=STARTS_WITHIN_SECONDS), (
            tmp_path / "flower.log"
        ).read_text()
        yield planned
    finally:
        ending.kill(process)


def _answers(url: str) -> bool:
    try:
        return bool(requests.get(url, timeout=5).status_code)
    except requests.ConnectionError:
        return False


def test_flower_answers_only_who_has_the_stacks_login(flower: StackPlan, tmp_path: Path):
    login = (FLOWER_USER, keys.stored(tmp_path)["FLOWER_PASSWORD"])
    for path in ("/", "/workers", "/tasks", "/api/workers"):
        assert requests.get(flower.flower_url + path, timeout=30).status_code == 401
        assert requests.get(flower.flower_url + path, auth=(FLOWER_USER, ""), timeout=30).status_code == 401
    shutdown = f"{flower.flower_url}/api/worker/shutdown/any"
    assert requests.post(shutdown, timeout=30).status_code == 401
    assert requests.get(f"{flower.flower_url}/workers", auth=login, timeout=30).status_code == 200
    assert login[1] not in (tmp_path / "flower.log").read_text()


@pytest.mark.django_db(transaction=True, databases=["default", "desk"])
def test_the_admin_links_to_flower_and_the_link_leads_there(
    flower: StackPlan, tmp_path: Path, programs: Programs
):
    staff = User.objects.create_superuser("boss", password=None)
    browser = Client()
    browser.force_login(staff)
    web = programs.web(FLOWER_URL=flower.flower_url, SECRET_KEY=settings.SECRET_KEY, WEB_PROCESSES="1")
    page = requests.get(
        f"{web.url}/admin/", cookies={"sessionid": browser.cookies["sessionid"].value}, timeout=30
    )
    assert page.status_code == 200, web.log
    [link] = re.findall(
        r'href="([^"]+)"[^>]*>(?:(?!</a>).)*Workers and queues \(Flower\)', page.text, re.DOTALL
    )
    assert link == flower.flower_url
    login = (FLOWER_USER, keys.stored(tmp_path)["FLOWER_PASSWORD"])
    assert requests.get(link, timeout=30).status_code == 401
    assert "Flower" in requests.get(link, auth=login, timeout=30).text
    web.stop()


@pytest.mark.django_db(databases=["default", "desk"])
def test_an_admin_without_flower_has_no_link(admin_client: Client):
    assert not settings.FLOWER_URL
    page = admin_client.get("/admin/").content.decode()
    assert "Kill switches" in page  # it has its menu
    assert "Flower" not in page

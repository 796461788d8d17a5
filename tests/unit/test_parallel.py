"""Processes follow the cores that may be used, and the bench can be kept to some of them."""

import os
import subprocess
import sys

import pytest

from config import parallel

SHOWN = """
from config.environment import load_settings
load_settings()
from django.conf import settings
print(settings.WEB_PROCESSES, settings.WORKER_PROCESSES, settings.CELERY_WORKER_CONCURRENCY)
"""


@pytest.mark.parametrize(("cores", "web", "worker"), [(1, 2, 6), (2, 2, 6), (5, 5, 6), (16, 16, 16)])
def test_processes_follow_the_cores(monkeypatch, cores, web, worker):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.delenv(parallel.WEB_PROCESSES, raising=False)
    assert parallel.web_processes() == web
    counted = f"import os; os.sched_getaffinity = lambda _: range({cores})\n{SHOWN}"
    assert shown(counted) == f"{web} {worker} {worker}"


def test_what_the_environment_says_counts(monkeypatch):
    monkeypatch.setenv("WEB_PROCESSES", "3")
    monkeypatch.setenv("WORKER_PROCESSES", "1")
    assert parallel.web_processes() == 3
    assert shown(SHOWN) == "3 1 1"


def shown(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_bench_keeps_to_the_cores_that_it_is_given():
    code = """
import os, sys
from tools.bench import __main__ as bench
bench.run = lambda **_: print(len(os.sched_getaffinity(0))) or 0
sys.argv = ["bench", "--cores", "1"]
bench.main()
"""
    assert shown(code) == "1"


def test_the_bench_has_no_more_cores_than_there_are():
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench", "--cores", "4096"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--cores goes from 1 to" in done.stderr

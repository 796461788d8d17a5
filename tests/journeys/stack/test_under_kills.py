"""Orders of a running stack come through whole while its processes are killed one after another."""

import subprocess
import time
from functools import partial
from pathlib import Path

import psutil

from tests.support.browsing import Cockpit
from tests.support.demo_run import assert_all_came_through, finished, log_of, start_demo
from tools.stack import running
from tools.stack.supervision import wait_until

READY_WITHIN_SECONDS = 120


def test_processes_killed_in_the_middle_lose_and_double_nothing(stack: Cockpit) -> None:
    demo = start_demo(stack.var_dir, DEMO_ORDERS="300", DEMO_SECONDS="15", DEMO_CUSTOMERS="5")
    killed: list[str] = []
    try:
        kill_one_after_another(demo, stack.var_dir, killed)
    finally:
        report = finished(demo, stack.var_dir)
    assert len(killed) == 4
    assert_all_came_through(report)


def kill_one_after_another(demo: subprocess.Popen[bytes], var_dir: Path, killed: list[str]) -> None:
    """While orders flow: the broker, the desk's processes, and the venue, each with kill -9."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    log = log_of(var_dir)
    while b"orders of" not in log.read_bytes():
        assert demo.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for name in ("valkey", "worker", "intake", "venue"):
        time.sleep(2)
        assert wait_until(partial(is_running, var_dir, name), within_seconds=30)
        process_of(var_dir, name).kill()
        killed.append(name)


def process_of(var_dir: Path, name: str) -> psutil.Process:
    info = running(var_dir)
    assert info is not None
    pid = {process.name: process.pid for process in info.processes}[name]
    if pid is None:  # never a signal to "no process": that is the caller itself, or its group
        raise psutil.NoSuchProcess(-1, name)
    return psutil.Process(pid)


def is_running(var_dir: Path, name: str) -> bool:
    try:
        return process_of(var_dir, name).is_running()
    except psutil.NoSuchProcess:
        return False

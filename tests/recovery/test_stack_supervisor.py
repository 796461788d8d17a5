"""The supervisor with small programs: what is killed comes back, what is stopped leaves nothing."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
import redis

from tools.embedded import processes, valkey
from tools.stack import StackAlreadyRunning, StackFailed, lifecycle, readiness, running, stop
from tools.stack.programs import APPS, SERVERS, Program, StackPlan
from tools.stack.supervision import wait_until

# A master and a worker of its own, as granian has them.
MASTER = ("sh", "-c", "sleep 1000 & wait")


def _plan(var_dir):
    var_dir.mkdir(exist_ok=True)
    port = valkey.free_port()
    python = (sys.executable, "-m")
    broker = (*python, "tools.embedded", "--var-dir", str(var_dir), "valkey", "--port", str(port))
    master = (*python, "tools.stack.launch", "master", "SIGTERM", "--", *MASTER)
    return StackPlan(
        var_dir=var_dir,
        programs=(
            Program(name="valkey", group=SERVERS, command=broker, settled_seconds=1),
            Program(name="master", group=APPS, command=master, settled_seconds=1),
        ),
        environment={"BROKER_URL": valkey.url(var_dir=var_dir, port=port), "VENUE_URL": "-"},
        ports={"web": 1, "flower": 1, "valkey": port},
    )


@pytest.fixture
def up(tmp_path):
    """Start a small stack in the folder of that name; all are stopped at the end."""
    started = []

    def start(name="var", attached=True, preparations=(), programs=(), tell=lambda line: None):
        var_dir = (tmp_path / name).resolve()
        started.append(var_dir)
        plan = _plan(var_dir)
        plan = dataclasses.replace(plan, preparations=preparations, programs=plan.programs + programs)
        return lifecycle.run(plan=plan, given=os.environ, attached=attached, tell=tell)

    yield start
    for var_dir in started:
        stop(var_dir=var_dir)
        assert not processes.marked(var_dir=var_dir)


def _pid(info, name):
    return next((process.pid for process in info.processes if process.name == name), None)


def _worker(var_dir):
    return next((p for p in processes.marked(var_dir=var_dir, program="master") if p.name() == "sleep"), None)


def _answers(info):
    with redis.Redis.from_url(info.environment["BROKER_URL"]) as client:
        return client.ping()


def test_two_stacks_run_side_by_side_and_stop_apart(up):
    one, two = up("one"), up("two")
    assert _answers(one)
    assert _answers(two)
    with pytest.raises(StackAlreadyRunning) as refusal:
        up("one")
    assert refusal.value.info.pid == one.pid
    assert stop(var_dir=one.var_dir)
    assert running(one.var_dir) is None
    assert not processes.marked(var_dir=one.var_dir)
    assert not stop(var_dir=one.var_dir)
    assert _answers(two)


def test_what_a_start_prepares_is_prepared_side_by_side(up, tmp_path):
    meets = "touch {mine}; for i in $(seq 100); do test -e {other} && exit; sleep 0.1; done; exit 1"
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    commands = [
        ("sh", "-c", meets.format(mine=mine, other=other)) for mine, other in ((one, two), (two, one))
    ]
    said = []
    assert _answers(up(preparations=tuple(commands), tell=said.append))
    assert [line for line in said if line.startswith("up after") and "preparations" in line]


def test_a_preparation_that_fails_is_shown_and_leaves_nothing(up, tmp_path):
    commands = (("true",), ("sh", "-c", "echo no such column; exit 3"))
    with pytest.raises(StackFailed, match="no such column"):
        up(preparations=commands)
    assert running((tmp_path / "var").resolve()) is None


def test_a_program_that_ends_again_and_again_is_not_waited_for(up, tmp_path):
    web = Program(
        name="web", group=APPS, command=("sh", "-c", "echo no such setting; exit 3"), settled_seconds=1
    )
    began_at = time.monotonic()
    with pytest.raises(StackFailed, match="web does not answer\nno such setting"):
        up(programs=(web,))
    assert time.monotonic() - began_at < readiness.READY_WITHIN_SECONDS / 2
    assert running((tmp_path / "var").resolve()) is None


def test_what_is_killed_comes_back_without_its_old_worker(up):
    info = up()
    assert wait_until(lambda: _worker(info.var_dir), within_seconds=60)
    old_worker = _worker(info.var_dir)
    for name in ("valkey", "master"):
        old = _pid(info, name)
        os.kill(old, signal.SIGKILL)
        assert wait_until(lambda name=name, old=old: _pid(info, name) not in (None, old), within_seconds=60)
    assert wait_until(lambda: not old_worker.is_running(), within_seconds=60)
    assert wait_until(lambda: _worker(info.var_dir), within_seconds=60)
    assert _answers(info)


def test_a_killed_supervisor_takes_its_programs_along_and_the_next_start_is_clean(up):
    info = up(attached=False)
    assert wait_until(lambda: _worker(info.var_dir), within_seconds=60)
    psutil.Process(info.pid).kill()
    masters = [psutil.Process(pid) for pid in (_pid_of(info, "valkey"), _pid_of(info, "master")) if pid]
    _, alive = psutil.wait_procs(masters, timeout=60)
    assert not alive
    assert running(info.var_dir) is None
    again = up()
    assert again.pid != info.pid
    assert _answers(again)
    workers = [p for p in processes.marked(var_dir=info.var_dir, program="master") if p.name() == "sleep"]
    assert len(workers) <= 1


def _pid_of(info, program):
    found = [p for p in processes.marked(var_dir=info.var_dir, program=program) if p.name() != "sleep"]
    return found[0].pid if found else 0


def test_an_attached_stack_ends_with_who_started_it(tmp_path):
    script = f"""
        import os, sys, time
        sys.path.insert(0, {str(lifecycle.ROOT)!r})
        from pathlib import Path
        from tests.recovery.test_stack_supervisor import _plan
        from tools.stack import lifecycle
        lifecycle.run(plan=_plan(Path({str(tmp_path / "var")!r})), given=os.environ, attached=True)
        print("up", flush=True)
        time.sleep(1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout.readline() == "up\n"
        var_dir = (tmp_path / "var").resolve()
        assert running(var_dir)
        starter.kill()
    assert wait_until(lambda: running(var_dir) is None, within_seconds=60)
    assert wait_until(lambda: not processes.marked(var_dir=var_dir), within_seconds=60)
    assert not stop(var_dir=var_dir)

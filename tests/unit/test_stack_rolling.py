"""What is looked at before the programs of a running stack are replaced."""

from datetime import UTC, datetime

import psycopg
import pytest

from tools.stack import programs, rolling, supervision
from tools.stack.lifecycle import StackInfo
from tools.stack.readiness import StackFailed
from tools.stack.rolling import modules_gone, roll


@pytest.fixture
def running(tmp_path):
    """A stack as its files tell of it; its supervisor does not answer."""
    plan = programs.plan(var_dir=tmp_path, given={})
    supervision.configuration_file(tmp_path).write_text(supervision.configuration(plan))
    return StackInfo(
        var_dir=tmp_path, pid=1, started_at=datetime.now(UTC), web_url="", flower_url="", environment={}
    )


def test_every_program_of_the_stack_is_there(running):
    assert modules_gone(running.var_dir) == []


def test_a_stack_whose_programs_have_moved_is_left_alone(running):
    file = supervision.configuration_file(running.var_dir)
    file.write_text(file.read_text().replace("tools.stack.launch", "config.stack.launch"))
    told = []
    with pytest.raises(StackFailed, match=r"config\.stack\.launch.*make down up"):
        roll(running, tell=told.append)
    assert told == []


class Restarting:
    """A supervisor that starts what it is told to, and has it running at once."""

    def __init__(self):
        self.restarted = []

    def restart(self, name):
        self.restarted.append(name)

    def processes(self):
        return [
            supervision.ProcessInfo(
                name=name, group=programs.APPS, state="RUNNING", pid=7, started_at=1, uptime_seconds=60
            )
            for name in self.restarted
        ]


def test_a_database_that_moves_meanwhile_is_waited_for(running, monkeypatch):
    asked = []

    def connected_to(info):
        asked.append(info)
        if len(asked) < 3:
            raise psycopg.OperationalError("session is read-only")
        return {"feed 7"}

    monkeypatch.setattr(rolling, "connected_to", connected_to)
    supervisor = Restarting()
    rolling._Restarts(supervisor, running).restart("feed")
    assert (supervisor.restarted, len(asked)) == (["feed"], 3)


def test_a_database_that_stays_away_ends_it(running, monkeypatch):
    def connected_to(info):
        raise psycopg.OperationalError("session is read-only")

    monkeypatch.setattr(rolling, "connected_to", connected_to)
    monkeypatch.setattr(rolling, "REPLACED_WITHIN_SECONDS", 0.5)
    with pytest.raises(StackFailed, match="feed does not stay up"):
        rolling._Restarts(Restarting(), running).restart("feed")

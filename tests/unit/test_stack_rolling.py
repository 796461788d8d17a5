"""What is looked at before the programs of a running stack are replaced."""

from datetime import UTC, datetime

import pytest

from tools.stack import programs, supervision
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

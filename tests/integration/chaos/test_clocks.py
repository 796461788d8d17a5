"""A program's wall clock jumps while it runs, in its children too; its monotonic clock and other programs' do not."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tools.chaos import clocks
from tools.chaos.clocks import JUMPS_SECONDS

READ = """
import datetime, multiprocessing, sys, time
def read():
    utc = datetime.timezone.utc
    print(time.time(), time.time_ns() / 1e9, time.clock_gettime(time.CLOCK_REALTIME),
          datetime.datetime.now(utc).timestamp(), datetime.datetime.now().timestamp(),
          datetime.datetime.utcnow().replace(tzinfo=utc).timestamp(), time.mktime(time.localtime()),
          time.monotonic(), flush=True)
for _ in sys.stdin:
    read()
    child = multiprocessing.get_context("fork").Process(target=read)
    child.start()
    child.join()
"""


@pytest.fixture
def jumps(tmp_path):
    environment, made = clocks.prepared(tmp_path, ["web", "worker", "postgres"], given={})
    return environment, {jump.name: jump for jump in made}


class Program:
    """Tells its clocks when it is asked, its own and its child's."""

    def __init__(self, name, environment):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", READ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | {"CROSSBOOK_PROGRAM": name},
        )

    def ahead(self):
        """By how many seconds each wall clock is ahead, as whole numbers; and the monotonic clock."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        lines = [[float(word) for word in self._process.stdout.readline().split()] for _ in range(2)]
        true = datetime.now(UTC).timestamp()
        return {round((clock - true) / 10) * 10 for line in lines for clock in line[:-1]}, lines[0][-1]

    def end(self):
        self._process.communicate(timeout=10)


def test_each_wall_clock_of_a_program_and_its_children_jumps_and_comes_back(jumps):
    environment, by_name = jumps
    assert sorted(by_name) == ["jump:web-clock", "jump:worker-clock"]
    web, worker = (Program(name, environment) for name in ("web", "worker"))
    try:
        assert web.ahead()[0] == {0}
        by_name["jump:web-clock"].begin(seed=1)
        [ahead], monotonic = web.ahead()
        assert ahead in JUMPS_SECONDS
        assert worker.ahead()[0] == {0}
        by_name["jump:web-clock"].end()
        back, later = web.ahead()
        assert (back, 0 < later - monotonic < 10) == ({0}, True)
    finally:
        web.end()
        worker.end()


def test_seeds_choose_jumps_ahead_and_back(jumps, tmp_path):
    _, by_name = jumps
    jumped = set()
    for seed in range(20):
        by_name["jump:web-clock"].begin(seed)
        jumped.add(clocks.OFFSET.unpack((tmp_path / "clocks" / "web").read_bytes())[0])
    assert jumped == set(JUMPS_SECONDS)

"""The worker program as the stack starts and stops it: a task that runs when it is told to end is finished."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from infra.broker.dispatcher import dispatcher
from settlement.models import Conversion
from tests.support import ending
from tests.support.databases import environment
from tests.support.desk_bench import event, take_in
from tests.support.venue import PaperVenue
from tools.embedded import processes
from tools.stack.programs import plan
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

SOON = 60.0
VENUE_TAKES_MS = 1500


class Worker:
    """The running program; `log` is what it has written."""

    def __init__(self, var_dir: Path, given: dict[str, str]) -> None:
        planned = plan(var_dir=var_dir, given=given)
        [self.program] = [program for program in planned.programs if program.name == "worker"]
        self._log_file = var_dir / "worker.log"
        with self._log_file.open("w") as log:
            self.process = subprocess.Popen(
                self.program.command,
                cwd=settings.BASE_DIR,
                env={
                    **os.environ,
                    **given,
                    **planned.environment,
                    **processes.mark(var_dir=var_dir, program="worker"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    def stop(self) -> int:
        """Ask it to end as its supervisor does; how it ended."""
        if self.program.stops_as_group:
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.program.stop_seconds)


@pytest.fixture
def worker(
    request: pytest.FixtureRequest,
    two_systems: None,
    paper_venue: PaperVenue,
    venue_account: tuple[str, str, str],
    tmp_path: Path,
) -> Iterator[Worker]:
    _, key, secret = venue_account
    given = {"VENUE_URL": paper_venue.url, "VENUE_API_KEY": key, "VENUE_API_SECRET": secret}
    given |= getattr(request, "param", {})
    made = Worker(tmp_path, environment() | given | {"BROKER_URL": settings.BROKER_URL})
    yield made
    ending.kill(made.process)


def test_a_worker_that_is_told_to_end_finishes_what_it_sends(worker: Worker, paper_venue: PaperVenue):
    assert wait_until(lambda: " ready." in worker.log, within_seconds=SOON), worker.log
    paper_venue.add_fault("reply_delay", path="/api/v3/order$", method="POST", delay_ms=VENUE_TAKES_MS)
    take_in(event())
    dispatcher.send([("settlement.convert", ["BTC"]), ("settlement.balance", [])])
    assert wait_until(lambda: paper_venue.faults()[0]["struck"], within_seconds=SOON), worker.log
    assert worker.stop() == 0, worker.log
    [made] = Conversion.objects.all()
    assert made.state == "BOOKED", made.reason


def test_a_worker_process_that_is_killed_leaves_nothing_to_beat(worker: Worker, paper_venue: PaperVenue):
    """No beat runs here: what the killed one had sent is asked for by the one that takes its place."""
    assert wait_until(lambda: " ready." in worker.log, within_seconds=SOON), worker.log
    paper_venue.add_fault(
        "reply_delay", path="/api/v3/order$", method="POST", count=1, delay_ms=VENUE_TAKES_MS
    )
    take_in(event())
    dispatcher.send([("settlement.convert", ["BTC"]), ("settlement.balance", [])])
    assert wait_until(lambda: paper_venue.faults()[0]["struck"], within_seconds=SOON), worker.log
    for child in psutil.Process(worker.process.pid).children():
        child.kill()
    assert wait_until(
        lambda: list(Conversion.objects.values_list("state", flat=True)) == ["BOOKED"], within_seconds=SOON
    ), worker.log


@pytest.mark.parametrize(
    ("worker", "count"), [({"WORKER_PROCESSES": "1"}, 1), ({"WORKER_PROCESSES": "3"}, 3)], indirect=["worker"]
)
def test_as_many_processes_work_as_the_environment_says(worker: Worker, count: int):
    assert wait_until(lambda: " ready." in worker.log, within_seconds=SOON), worker.log
    assert len(psutil.Process(worker.process.pid).children()) == count
    take_in(event())
    dispatcher.send([("settlement.convert", ["BTC"]), ("settlement.balance", [])])
    assert wait_until(
        lambda: list(Conversion.objects.values_list("state", flat=True)) == ["BOOKED"], within_seconds=SOON
    ), worker.log

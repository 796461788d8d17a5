"""`single`: one order a request over 64 connections; and the same client against a server that only answers."""

import subprocess
import sys
from typing import Any

import msgspec

from tools.bench.load import process
from tools.bench.load.job import Job
from tools.bench.load.process import ROOT
from tools.bench.scenarios.batch import closed_loop
from tools.bench.session import Session

MAIN = "orders_per_s"
CONNECTIONS = 64
PREBUILT_PER_SECOND = 20_000
CALIBRATION_SECONDS = 1.0


def prepare(session: Session) -> None:
    """Have the stack up."""
    session.bed()


def measure(session: Session) -> dict[str, Any]:
    """Orders a second and milliseconds of each; `client_alone_per_s` is what the client could send at most."""
    session.ready("single")
    figures = closed_loop(session, job(session, session.sizes.single_seconds), "single") | {
        "connections": CONNECTIONS
    }
    session.prove("single")
    if not session.client_alone_per_s:
        session.client_alone_per_s = _alone(job(session, CALIBRATION_SECONDS), session)
    return figures | {"client_alone_per_s": session.client_alone_per_s}


def job(session: Session, seconds: float) -> Job:
    """One order a request for so many seconds, as fast as the answers come."""
    warm_up = session.sizes.warm_up_seconds
    return session.bed().job(
        connections=CONNECTIONS,
        orders_each=1,
        seconds=seconds,
        warm_up_seconds=warm_up,
        prebuilt=int(PREBUILT_PER_SECOND * (seconds + warm_up)),
    )


def _alone(job: Job, session: Session) -> float:
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.bench.load.answering"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        more = msgspec.structs.replace(job, url=url, prebuilt=5 * job.prebuilt)
        with session.without_stack():
            return process.run(more).orders_per_s
    finally:
        server.kill()
        server.communicate()

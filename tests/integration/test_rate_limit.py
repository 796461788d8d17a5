"""Limits of requests: exact under bursts of several processes, given back in time, never what locks out."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from django.db import connection
from django.utils import timezone

from counter.access import nonces, rate_limit
from counter.access.admission import (
    ANSWER_WITHIN_SECONDS,
    Admissions,
    Asking,
    SignatureUse,
    TooFast,
)
from counter.access.rate_limit import Limit
from counter.models import Pace
from infra.coordination.group_queue import OutcomeUnknown
from tests.support import bursting
from tests.support.databases import environment, locked_table
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
NOW = timezone.now()
SLOW = Limit("somebody:1", per_second=1, at_once=20)


def granted(limit, asked, *, at_seconds=0):
    return rate_limit.grant({limit: asked}, now=NOW + timedelta(seconds=at_seconds))[limit]


# --- one statement --------------------------------------------------------------------------------------------------


def test_a_limit_gives_what_it_has_and_gets_it_back_in_time():
    limit = Limit("somebody:1", per_second=2, at_once=5)
    assert granted(limit, 3)[0] == 3
    assert granted(limit, 3)[0] == 2
    count, standing = granted(limit, 1)
    assert (count, standing.remaining, standing.retry_after_seconds, standing.reset_seconds) == (0, 0, 1, 3)
    assert granted(limit, 4, at_seconds=0.4999)[0] == 0
    assert granted(limit, 4, at_seconds=0.5)[0] == 1
    assert granted(limit, 9, at_seconds=100)[0] == 5


def test_more_than_there_can_be_at_once_is_given_as_far_as_there_is():
    assert granted(SLOW, 50)[0] == 20
    assert granted(SLOW, 50)[0] == 0


def test_another_subject_has_its_own():
    assert granted(SLOW, 20)[0] == 20
    assert granted(Limit("customer:2", per_second=1, at_once=20), 20)[0] == 20


def test_a_limit_that_was_lowered_counts_from_the_next_request():
    assert granted(Limit("key:1", per_second=10, at_once=10), 1)[0] == 1
    count, standing = granted(Limit("key:1", per_second=1, at_once=1), 1, at_seconds=1)
    assert (count, standing.limit, standing.remaining) == (1, 1, 0)


def test_the_retry_that_is_advised_succeeds():
    granted(SLOW, 20)
    _, standing = granted(SLOW, 1, at_seconds=0.3)
    assert granted(SLOW, 1, at_seconds=0.3 + standing.retry_after_seconds)[0] == 1


def test_nothing_of_it_is_written_to_the_log_of_the_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'counter_pace'")
        assert cursor.fetchone() == ("u",)


# --- crowds ---------------------------------------------------------------------------------------------------------


def test_two_processes_in_a_burst_get_exactly_what_there_is():
    command = [sys.executable, "-m", "tests.support.bursting", NOW.isoformat()]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(counts) == bursting.AT_ONCE < bursting.THREADS * bursting.TIMES


@pytest.fixture
def admissions():
    made = Admissions(clock=lambda: NOW)
    yield made
    made.stop()


def test_a_crowd_of_one_process_shares_statements(admissions, monkeypatch):
    outcomes, statements = [], []

    def ask():
        try:
            outcomes.append(admissions.admit(Asking(limits=(SLOW,))))
        except TooFast:
            outcomes.append(None)

    grant, come = rate_limit.grant, threading.Event()

    def once_all_have_come(asked, *, now):
        statements.append(sum(asked.values()))
        assert come.wait(30)
        return grant(asked, now=now)

    monkeypatch.setattr(rate_limit, "grant", once_all_have_come)
    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: sum(statements) + len(admissions._queue) == 40, within_seconds=30)
    come.set()
    for thread in threads:
        thread.join(30)
    assert len([standing for standing in outcomes if standing]) == SLOW.at_once
    # One for who came first, one for all who came meanwhile; or one, where they came before the thread began.
    assert len(statements) <= 2
    assert sum(statements) == 40


def test_the_scarcest_limit_is_told_and_each_one_counts(admissions):
    key = Limit("key:1", per_second=2, at_once=2)
    standings = [admissions.admit(Asking(limits=(SLOW, key))) for _ in range(2)]
    assert [(standing.limit, standing.remaining) for standing in standings] == [(2, 1), (2, 0)]
    with pytest.raises(TooFast) as refused:
        admissions.admit(Asking(limits=(SLOW, key)))
    assert refused.value.standing.limit == 2


# --- when they cannot be asked --------------------------------------------------------------------------------------


def test_without_their_table_requests_go_on_and_it_is_told(admissions):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE counter_pace RENAME TO gone")
    try:
        with structlog.testing.capture_logs() as logged:
            assert [admissions.admit(Asking(limits=(SLOW,))) for _ in range(30)] == [None] * 30
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO counter_pace")
    assert [line["log_level"] for line in logged] == ["warning"]  # once, not for each request


@pytest.mark.timed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_locks_nobody_out_but_whose_signature_is_not_known(admissions, monkeypatch):
    class Death(BaseException):
        """Ends a thread even if it catches exceptions."""

    def die(*_, **__):
        raise Death

    monkeypatch.setattr(rate_limit, "grant", die)
    started = time.monotonic()
    assert admissions.admit(Asking(limits=(SLOW,))) is None
    monkeypatch.setattr(nonces, "take_all", die)
    with pytest.raises(OutcomeUnknown):
        admissions.admit(Asking(use=SignatureUse("0" * 64, 1, NOW)))
    assert time.monotonic() - started < ANSWER_WITHIN_SECONDS  # they are told, and wait for no time-out
    monkeypatch.undo()
    assert admissions.admit(Asking(limits=(SLOW,))).remaining == SLOW.at_once - 1


@pytest.mark.timed
def test_behind_somebody_who_holds_the_table_requests_wait_a_moment_and_go_on(admissions):
    """A lock that is not given up is waited for once; what comes after it within seconds does not wait."""
    with locked_table("counter_pace"):
        assert admissions.admit(Asking(limits=(SLOW,))) is None
        started = time.monotonic()
        assert admissions.admit(Asking(limits=(SLOW,))) is None
        assert time.monotonic() - started < 0.5
    assert not Pace.objects.exists()

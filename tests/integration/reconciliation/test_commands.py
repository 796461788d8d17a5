"""`manage.py reconcile` and the schedule's task do one run, one at a time."""

import threading

import pytest
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask

from infra.coordination.leader import exclusive
from settlement import tasks
from settlement.management.commands import reconcile
from settlement.models import ReconciliationRun
from tests.support.threads import at_once


@pytest.fixture(autouse=True)
def _at_this_venue(venue, monkeypatch):
    monkeypatch.setattr(reconcile, "venue", lambda: venue)
    monkeypatch.setattr(tasks, "venue", lambda: venue)


def test_command_says_that_all_agrees(past, capsys):
    call_command("reconcile")
    assert "0 open" in capsys.readouterr().out
    assert ReconciliationRun.objects.count() == 1


def test_command_lists_open_breaks_and_fails(past, capsys, paper_venue, venue_account):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    with pytest.raises(SystemExit):
        call_command("reconcile")
    told = capsys.readouterr().out
    assert "nobody" in told
    assert "1 open" in told


def test_only_one_run_at_a_time(past):
    def held():
        with exclusive("reconcile", using="desk") as alone:
            assert alone
            started.wait(10)
            done.wait(30)

    started, done = threading.Barrier(2), threading.Event()

    def refused():
        started.wait(10)
        try:
            with pytest.raises(CommandError, match="under way"):
                call_command("reconcile")
            tasks.reconcile()
        finally:
            done.set()

    at_once([held, refused])
    assert ReconciliationRun.objects.count() == 0


def test_schedule_is_there(past):
    assert PeriodicTask.objects.get(task="settlement.reconcile").interval.period == "minutes"

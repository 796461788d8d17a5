"""The schedules of beat are made after migrations, and what an operator changes in them stays."""

import json

import pytest
from celery import current_app
from django.conf import settings
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config import schedules

pytestmark = pytest.mark.django_db(databases=["default"])

SECONDS = {"seconds": 1, "minutes": 60}


def row_of(schedule):
    row = PeriodicTask.objects.select_related("interval").get(name=schedule.name)
    every = row.interval.every * SECONDS[row.interval.period]
    return (row.task, every, row.expire_seconds, tuple(json.loads(row.args)), row.queue, row.enabled)


def test_after_migrations_each_schedule_of_the_table_is_there_and_no_other():
    table = (*schedules.SCHEDULES, *schedules.canaries(settings.WORKER_QUEUES))
    assert set(PeriodicTask.objects.values_list("name", flat=True)) == {each.name for each in table}
    for each in table:
        expires = each.expires or each.every
        assert row_of(each) == (each.task, each.every, expires, each.args, each.queue, True)


def test_what_an_operator_changes_or_stops_stays_and_what_is_missing_is_made():
    slower, stopped, lost = schedules.SCHEDULES[:3]
    interval = IntervalSchedule.objects.create(every=77, period="seconds")
    PeriodicTask.objects.filter(name=slower.name).update(interval=interval)
    PeriodicTask.objects.filter(name=stopped.name).update(enabled=False)
    made = row_of(lost)
    PeriodicTask.objects.filter(name=lost.name).delete()
    schedules.make_missing(using="default")
    assert row_of(slower)[1] == 77
    assert row_of(stopped)[-1] is False
    assert row_of(lost) == made


@pytest.mark.parametrize(
    "schedule", [schedules.SCHEDULES[0], *schedules.canaries(settings.WORKER_QUEUES)[:1]]
)
def test_what_an_operator_has_renamed_is_not_made_a_second_time(schedule):
    PeriodicTask.objects.filter(name=schedule.name).update(name="ours", enabled=False)
    schedules.make_missing(using="default")
    (row,) = PeriodicTask.objects.filter(task=schedule.task, args=json.dumps(schedule.args))
    assert (row.name, row.enabled) == ("ours", False)


def test_what_is_scheduled_is_a_task():
    current_app.loader.import_default_modules()
    named = {each.task for each in schedules.SCHEDULES} | settings.SWEEPS_PAST_THE_BROKER.keys()
    assert named | settings.SWEEPS_WITHOUT_BROKER.keys() <= current_app.tasks.keys()

"""What is done again and again: the one table of it, for beat and for the intake process.

Rows of beat are made after migrations where they are missing and never touched again: an interval that an operator has
changed stays, and so does a stop.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One row of beat, known by its `name`; times are seconds.

    What nobody fetched within `expires` (0: until the next is due) is dropped instead of piling up.
    `without_broker`: how often the intake process does it itself while no broker carries it; 0: it can wait.
    """

    name: str
    task: str
    every: int
    expires: int = 0
    args: tuple[str, ...] = ()
    queue: str | None = None
    without_broker: int = 0


SCHEDULES = (
    Schedule(name="pull orders that the desk has not acknowledged", task="acceptance.pull_unsynced", every=5),
    Schedule(
        name="resume conversions and transfers that are stuck or due",
        task="settlement.resume",
        every=2,
        without_broker=1,
    ),
    Schedule(
        name="report settlements that the counter has not taken",
        task="settlement.report",
        every=5,
        without_broker=2,
    ),
    Schedule(
        name="keep the wallets at the venue within their bands",
        task="settlement.rebalance",
        every=10,
        without_broker=10,
    ),
    Schedule(
        name="reconcile the venue, the desk's book and counter's clearing",
        task="settlement.reconcile",
        every=180,
    ),
    Schedule(
        name="measure booked conversions against the market's prices",
        task="settlement.measure_executions",
        every=30,
    ),
    Schedule(name="expire options, and exercise their positions", task="counter.expire", every=2),
    Schedule(name="forget firm quotes that expired", task="counter.sweep_quotes", every=10),
    Schedule(name="forget the index of long ago", task="counter.forget_index", every=300),
    Schedule(name="send the webhooks that are due", task="counter.deliver_webhooks", every=2),
    Schedule(name="give up and forget old webhooks", task="counter.sweep_webhooks", every=60),
    Schedule(
        name="measure what customers have, once an hour for each",
        task="counter.measure_portfolios",
        every=300,
    ),
    Schedule(name="count anew what customers have open", task="counter.recount", every=600),
    Schedule(name="count orders, results and venue calls for the figures", task="cockpit.tally", every=5),
    Schedule(name="measure how full the queues are", task="cockpit.measure_queues", every=5),
    Schedule(name="state and close the days that people ask for", task="cockpit.work_on_days", every=5),
    Schedule(name="audit both books and the venue", task="cockpit.audit", every=3600, expires=60),
)
# The intake process does the first while no broker carries them, the second in any case: a desk
# that has much to do is not silent. Seconds between two runs, by task.
WITHOUT_BROKER = {each.task: each.without_broker for each in SCHEDULES if each.without_broker}
PAST_THE_BROKER = {"settlement.tell_conditions": 1}


def canaries(queues: tuple[str, ...]) -> list[Schedule]:
    """One through each queue that workers consume; one that is late shows a slow queue."""
    return [
        Schedule(
            name=f"canary through {queue}",
            task="config.canary",
            args=(queue,),
            queue=queue,
            every=5,
            expires=15,
        )
        for queue in queues
    ]


def make_missing(*, using: str) -> None:
    """Make the rows of beat that are not there; one that an operator has renamed is."""
    from django.conf import settings
    from django_celery_beat.models import PeriodicTask

    rows = list(PeriodicTask.objects.using(using).values_list("name", "task", "args"))
    names, calls = {name for name, _, _ in rows}, {(task, args) for _, task, args in rows}
    for each in (*SCHEDULES, *canaries(settings.WORKER_QUEUES)):
        if each.name not in names and (each.task, json.dumps(each.args)) not in calls:
            PeriodicTask(
                name=each.name,
                task=each.task,
                args=json.dumps(each.args),
                queue=each.queue,
                interval=_interval(each.every, using=using),
                expire_seconds=each.expires or each.every,
            ).save(using=using)


def _interval(seconds: int, *, using: str) -> object:
    """The row of an interval, in minutes where it is some; there may be several alike."""
    from django_celery_beat.models import IntervalSchedule

    minutes, rest = divmod(seconds, 60)
    every, period = (seconds, "seconds") if rest or not minutes else (minutes, "minutes")
    intervals = IntervalSchedule.objects.using(using)
    return intervals.filter(every=every, period=period).first() or intervals.create(
        every=every, period=period
    )

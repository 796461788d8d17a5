"""What blinds or slows the programs: queues, workers, leaders, clocks."""

from collections.abc import Iterator

from django.conf import settings

from cockpit.alerts.alert import Alert, age_seconds, list_of
from cockpit.queues import DEAD
from cockpit.snapshot import SystemSnapshot
from infra.coordination.leases import Leader


def queues(figures: SystemSnapshot) -> Iterator[Alert]:
    """Messages that were kept aside."""
    for queue in figures.queues:
        if queue.queue == DEAD and queue.messages:
            yield Alert(
                "dead_letters",
                "Messages that were not taken in, forged ones included",
                queue.messages,
                None,
                "manage.py dead_letters shows them and why: find out who sends what is not signed; replay the rest "
                "once the cause is gone. No order is lost by them.",
                "",
            )


def processes(figures: SystemSnapshot) -> Iterator[Alert]:
    """Queues that nobody consumes, and names that nobody leads."""
    missed = [trip for trip in figures.trips if not trip.ok]
    if missed:
        ages = [trip.age_seconds for trip in missed if trip.age_seconds is not None]
        yield Alert(
            "workers_silent",
            f"No canary came back through {', '.join(trip.queue for trip in missed)}",
            len(missed),
            max(ages, default=None),
            "See whether beat leads, the broker answers and the workers live; restart workers that take nothing.",
            "",
        )
    silent = [leader for leader in _all_leaders(figures) if not leader.is_alive]
    if silent:
        yield Alert(
            "leader_silent",
            f"Nobody leads {', '.join(leader.name for leader in silent)}",
            len(silent),
            max(leader.silent_seconds for leader in silent),
            "Both processes of that name are down or cut off from the database: see make ps and their logs.",
            "",
        )


def _all_leaders(figures: SystemSnapshot) -> list[Leader]:
    return [*figures.leaders, *(figures.desk.leaders if figures.desk else [])]


def clocks(figures: SystemSnapshot) -> Iterator[Alert]:
    """Times that lie ahead, or databases that differ."""
    wrong = sum(figures.clocks.ahead.values()) + figures.clocks.differ
    if wrong:
        found = [f"{count} of {table}" for table, count in figures.clocks.ahead.items() if count]
        if figures.clocks.differ:
            found.append(f"the databases differ by {figures.clocks.desk_ahead_seconds:.1f} s")
        yield Alert(
            "clock_wrong",
            f"A clock is or was wrong: {', '.join(found)}",
            wrong,
            None,
            "Compare the clocks of the database servers (chronyc tracking). What lies in the future puts itself right.",
            "",
        )


def webhooks(figures: SystemSnapshot) -> Iterator[Alert]:
    """What the exchange's endpoints have not got for long, or what endpoints that take everything have not."""
    late = [
        (each, age)
        for each in figures.webhooks
        if (each.is_exchange or not each.is_failing)
        and (age := age_seconds(figures, each.oldest_at) or 0.0) > settings.WEBHOOK_LATE_AFTER_SECONDS
    ]
    if late:
        yield Alert(
            "webhooks_late",
            "Webhooks are not delivered",
            sum(each.endpoints for each, _ in late),
            max(age for _, age in late),
            "The attempts say what the receiver answers. It is tried for days; without any attempt see to the workers.",
            list_of("counter_webhookdelivery", "?state=waiting"),
        )

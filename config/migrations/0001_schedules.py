"""The sweeps' schedules, as rows that operators may change: created when missing, never overwritten."""

from django.db import migrations

SWEEPS = [
    # name, task, every seconds
    ("pull orders that the desk has not acknowledged", "acceptance.pull_unsynced", 5),
    ("resume conversions and transfers that are stuck or due", "settlement.resume", 2),
    ("report settlements that the counter has not taken", "settlement.report", 5),
    ("keep the wallets at the venue within their bands", "settlement.rebalance", 10),
]


def create(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, seconds in SWEEPS:
        interval = interval_model.objects.filter(every=seconds, period="seconds").first()
        interval = interval or interval_model.objects.create(every=seconds, period="seconds")
        # A sweep that nobody fetched is stale as soon as the next one is due: it expires instead of piling up.
        task_model.objects.get_or_create(
            name=name, defaults={"task": task, "interval": interval, "expire_seconds": seconds}
        )


class Migration(migrations.Migration):
    initial = True
    dependencies = [("django_celery_beat", "0019_alter_periodictasks_options")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]

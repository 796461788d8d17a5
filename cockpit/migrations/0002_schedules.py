"""What keeps the figures going while nobody looks: created when missing, never overwritten."""

from django.db import migrations

SCHEDULES = [
    # name, task, every seconds
    ("count orders, results and venue calls for the figures", "cockpit.tally", 5),
    ("measure how full the queues are", "cockpit.measure_queues", 5),
    ("audit both books and the venue", "cockpit.audit", 3600),
]


def create(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, seconds in SCHEDULES:
        interval = interval_model.objects.filter(every=seconds, period="seconds").first()
        interval = interval or interval_model.objects.create(every=seconds, period="seconds")
        task_model.objects.get_or_create(
            name=name, defaults={"task": task, "interval": interval, "expire_seconds": min(seconds, 60)}
        )


class Migration(migrations.Migration):
    dependencies = [
        ("cockpit", "0001_figures"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]

"""Forgetting the record of the index: created when missing, never overwritten."""

from django.db import migrations

EVERY_SECONDS = 300


def create(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    interval = interval_model.objects.filter(every=EVERY_SECONDS, period="seconds").first()
    interval = interval or interval_model.objects.create(every=EVERY_SECONDS, period="seconds")
    task_model.objects.get_or_create(
        name="forget the index of long ago",
        defaults={"task": "counter.forget_index", "interval": interval, "expire_seconds": EVERY_SECONDS},
    )


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0017_limits"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]

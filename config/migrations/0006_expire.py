"""The sweep that ends options at their expiry: created when missing, never overwritten."""

from django.db import migrations

EVERY_SECONDS = 2


def create(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    interval = interval_model.objects.filter(every=EVERY_SECONDS, period="seconds").first()
    interval = interval or interval_model.objects.create(every=EVERY_SECONDS, period="seconds")
    task_model.objects.get_or_create(
        name="expire options, and exercise their positions",
        defaults={"task": "counter.expire", "interval": interval, "expire_seconds": EVERY_SECONDS},
    )


class Migration(migrations.Migration):
    dependencies = [("config", "0005_reconcile")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]

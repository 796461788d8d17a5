"""Reconciliation every few minutes: created when missing, never overwritten."""

from django.db import migrations

EVERY_MINUTES = 3


def create(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    interval = interval_model.objects.filter(every=EVERY_MINUTES, period="minutes").first()
    interval = interval or interval_model.objects.create(every=EVERY_MINUTES, period="minutes")
    task_model.objects.get_or_create(
        name="reconcile the venue, the desk's book and counter's clearing",
        defaults={
            "task": "settlement.reconcile",
            "interval": interval,
            "expire_seconds": EVERY_MINUTES * 60,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("config", "0004_roles")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]

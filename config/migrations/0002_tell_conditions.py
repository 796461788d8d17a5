"""The sweep that tells counter of the desk's condition: created when missing, never overwritten."""

from django.db import migrations

EVERY_SECONDS = 2


def create(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    interval = interval_model.objects.filter(every=EVERY_SECONDS, period="seconds").first()
    interval = interval or interval_model.objects.create(every=EVERY_SECONDS, period="seconds")
    task_model.objects.get_or_create(
        name="tell the counter how each coin stands at the desk",
        defaults={
            "task": "settlement.tell_conditions",
            "interval": interval,
            "expire_seconds": EVERY_SECONDS,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("config", "0001_schedules")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]

"""The lease of each leader, in both databases, and the canaries, with a schedule for each queue that workers consume."""

from django.db import migrations, models

QUEUES = ("convert", "settle", "sweeps")
EVERY_SECONDS = 5
EXPIRE_SECONDS = 15  # one that is late shows a slow queue; older ones would only pile up


def schedule(apps, schema_editor):
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    interval = interval_model.objects.filter(every=EVERY_SECONDS, period="seconds").first()
    interval = interval or interval_model.objects.create(every=EVERY_SECONDS, period="seconds")
    for queue in QUEUES:
        task_model.objects.get_or_create(
            name=f"canary through {queue}",
            defaults={
                "task": "config.canary",
                "args": f'["{queue}"]',
                "queue": queue,
                "interval": interval,
                "expire_seconds": EXPIRE_SECONDS,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("config", "0002_tell_conditions")]

    operations = [
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("name", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("token", models.BigIntegerField()),
                ("holder", models.CharField(max_length=120)),
                ("won_at", models.DateTimeField()),
                ("renewed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Canary",
            fields=[
                ("queue", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("sent_at", models.DateTimeField()),
                ("returned_at", models.DateTimeField()),
            ],
            options={"verbose_name_plural": "canaries"},
        ),
        migrations.RunPython(schedule, migrations.RunPython.noop),
    ]

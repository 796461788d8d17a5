"""Statements and closes of days that a worker makes, and how far it is. A new table: nobody waits."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cockpit", "0003_days"),
    ]

    operations = [
        migrations.CreateModel(
            name="DayWork",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("STATE", "the statement"), ("CLOSE", "the close")], max_length=5
                    ),
                ),
                ("asked_by", models.CharField(max_length=150)),
                ("asked_at", models.DateTimeField()),
                ("step", models.SmallIntegerField(default=0)),
                ("stepped_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("refusal", models.TextField(blank=True)),
                (
                    "statement",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="cockpit.daystatement",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["day", "-id"], name="day_work_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("day",),
                        name="day_work_one_open",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind", "STATE"), ("statement__isnull", False), _connector="OR"),
                        name="day_work_closes_a_statement",
                    ),
                ],
            },
        ),
    ]

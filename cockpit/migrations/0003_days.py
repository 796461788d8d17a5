"""Statements of days, and the days that two people have closed."""

import django.db.models.deletion
from django.db import migrations, models

from ledger.triggers import append_only, never_emptied


class Migration(migrations.Migration):
    dependencies = [("cockpit", "0002_schedules")]

    operations = [
        migrations.CreateModel(
            name="DayStatement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("content", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("made_by", models.CharField(max_length=150)),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "permissions": [("make_daystatement", "Can have the statement of a day made")],
                "indexes": [models.Index(fields=["day", "-id"], name="day_statement_newest")],
            },
        ),
        migrations.CreateModel(
            name="DayClose",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField(unique=True)),
                ("made_by", models.CharField(max_length=150)),
                ("closed_by", models.CharField(max_length=150)),
                ("closed_at", models.DateTimeField()),
                (
                    "statement",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="cockpit.daystatement"
                    ),
                ),
            ],
            options={
                "permissions": [("approve_dayclose", "Can close a day")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("made_by", models.F("closed_by")), _negated=True),
                        name="day_closed_by_another",
                    )
                ],
            },
        ),
        append_only("cockpit_daystatement"),
        never_emptied("cockpit_daystatement"),
        append_only("cockpit_dayclose"),
        never_emptied("cockpit_dayclose"),
    ]

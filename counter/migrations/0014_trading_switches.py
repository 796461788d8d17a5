"""Kill switches and their history."""

import django_fsm
from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

STATES = [("RUNNING", "Running"), ("OPENS_STOPPED", "Opens Stopped"), ("ALL_STOPPED", "All Stopped")]


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0013_api_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="TradingSwitch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8, unique=True)),
                ("state", django_fsm.FSMField(choices=STATES, default="RUNNING", max_length=16)),
                ("reason", models.TextField(blank=True)),
                ("by", models.CharField(blank=True, max_length=150)),
                ("since", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "trading switches",
                "permissions": [
                    ("stop_trading", "Can stop trading"),
                    ("approve_resume_trading", "Can have trading go on"),
                ],
            },
        ),
        migrations.CreateModel(
            name="TradingSwitchChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8)),
                ("from_state", models.CharField(max_length=16)),
                ("to_state", models.CharField(max_length=16)),
                ("reason", models.TextField()),
                ("by", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
            ],
        ),
        append_only("counter_tradingswitchchange"),
        never_emptied("counter_tradingswitchchange"),
    ]

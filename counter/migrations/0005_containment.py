"""How each coin is traded, its history, and what the desk says of itself."""

from decimal import Decimal

import django.contrib.postgres.fields
import django_fsm
from django.db import migrations, models

from ledger.triggers import append_only

STATES = [("NORMAL", "normal"), ("WIDE", "wide"), ("HALTED", "halted")]


class Migration(migrations.Migration):
    dependencies = [("counter", "0004_nonces")]

    operations = [
        migrations.CreateModel(
            name="DeskCondition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8, unique=True)),
                ("unhedged_coin", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=20)),
                ("venue_halted_since", models.DateTimeField(null=True)),
                ("doubtful_since", models.DateTimeField(null=True)),
                ("as_of", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="TradingStatus",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8, unique=True)),
                ("state", django_fsm.FSMField(choices=STATES, default="NORMAL", max_length=8)),
                ("spread_rate", models.DecimalField(decimal_places=6, max_digits=7)),
                (
                    "reasons",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=24), default=list, size=None
                    ),
                ),
                ("why", models.TextField(blank=True)),
                ("since", models.DateTimeField()),
                ("easing_since", models.DateTimeField(null=True)),
                ("judged_at", models.DateTimeField()),
            ],
            options={"verbose_name_plural": "trading statuses"},
        ),
        migrations.CreateModel(
            name="TradingStatusChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8)),
                ("from_state", models.CharField(blank=True, max_length=8)),
                ("to_state", models.CharField(max_length=8)),
                ("spread_rate", models.DecimalField(decimal_places=6, max_digits=7)),
                (
                    "reasons",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=24), default=list, size=None
                    ),
                ),
                ("why", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=64)),
            ],
        ),
        append_only("counter_tradingstatuschange"),
        # Judged every second: room on the page keeps those updates out of the indexes.
        migrations.RunSQL("ALTER TABLE counter_tradingstatus SET (fillfactor = 50)", migrations.RunSQL.noop),
    ]

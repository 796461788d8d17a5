"""Running totals, and how full the queues were."""

from decimal import Decimal

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="QueueDepth",
            fields=[
                ("queue", models.CharField(max_length=128, primary_key=True, serialize=False)),
                ("messages", models.BigIntegerField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(unique=True)),
                ("as_of", models.DateTimeField()),
                ("seen_order", models.BigIntegerField()),
                ("seen_state_change", models.BigIntegerField()),
                ("seen_attempt", models.BigIntegerField()),
                ("counted_order", models.BigIntegerField()),
                ("counted_state_change", models.BigIntegerField()),
                ("counted_attempt", models.BigIntegerField()),
                ("accepted", models.BigIntegerField(default=0)),
                ("synced", models.BigIntegerField(default=0)),
                ("settled", models.BigIntegerField(default=0)),
                ("reported", models.BigIntegerField(default=0)),
                ("conversions", models.BigIntegerField(default=0)),
                ("turnover", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=28)),
                ("spread", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=28)),
                ("slippage", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=28)),
                ("carry", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=28)),
                ("fees", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=28)),
                ("rounding", models.DecimalField(decimal_places=8, default=Decimal("0"), max_digits=28)),
                ("settle_seconds", models.FloatField(default=0)),
                (
                    "settle_counts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("above_venue_seconds", models.FloatField(default=0)),
                (
                    "above_venue_counts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("calls", models.JSONField(default=list)),
            ],
            options={
                "verbose_name_plural": "tallies",
            },
        ),
    ]

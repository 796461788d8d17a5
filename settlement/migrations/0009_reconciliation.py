"""Reconciliation: breaks, runs with their watermarks, and legs that are traced to a break."""

import django_fsm
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0008_interventions"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="ReconciliationRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("seconds", models.DecimalField(decimal_places=3, max_digits=9)),
                ("by", models.CharField(max_length=150)),
                ("trades_until", models.DateTimeField()),
                ("orders_until", models.BigIntegerField()),
                ("legs_until", models.BigIntegerField()),
                ("balances", models.JSONField()),
                ("checked", models.IntegerField()),
                ("found", models.IntegerField()),
                ("closed", models.IntegerField()),
                ("open", models.IntegerField()),
                ("in_flight", models.IntegerField()),
                ("unchecked", models.TextField(blank=True)),
            ],
        ),
        migrations.AddField(
            model_name="desktransfer",
            name="break_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                    ("break", "Break"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="intervention",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                    ("break", "Break"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="statechange",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                    ("break", "Break"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="ReconciliationBreak",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("what", models.CharField(max_length=64)),
                ("where", models.CharField(max_length=96)),
                ("detail", models.TextField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[("OPEN", "Open"), ("CLOSED", "Closed")], default="OPEN", max_length=12
                    ),
                ),
                ("version", models.IntegerField(default=0)),
                ("asset", models.CharField(blank=True, max_length=8)),
                ("amount", models.DecimalField(decimal_places=8, max_digits=28, null=True)),
                ("conversion_id", models.BigIntegerField(null=True)),
                ("order_id", models.BigIntegerField(null=True)),
                ("symbol", models.CharField(blank=True, max_length=24)),
                ("venue_trade_id", models.CharField(blank=True, max_length=64)),
                ("venue_transfer_id", models.CharField(blank=True, max_length=64)),
                ("account", models.CharField(blank=True, max_length=64)),
                ("effect", models.JSONField(default=list)),
                ("since", models.DateTimeField()),
                ("found_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("owner_id", models.BigIntegerField(null=True)),
                ("owner", models.CharField(blank=True, max_length=150)),
                ("owned_since", models.DateTimeField(null=True)),
                ("written_off_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
                ("closed_by", models.TextField(blank=True)),
            ],
            options={
                "verbose_name": "reconciliation break",
                "permissions": [
                    ("own_reconciliationbreak", "Can take a reconciliation break into their own hands"),
                    (
                        "write_off_reconciliationbreak",
                        "Can request that a reconciliation break is written off to suspense",
                    ),
                    ("run_reconciliation", "Can have everything reconciled at once"),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("written_off_at__isnull", False)),
                        fields=["since"],
                        name="break_written_off",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "OPEN")), fields=("what", "where"), name="break_one_open"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("closed_at__isnull", True), ("closed_by", ""), ("state", "OPEN")),
                            models.Q(
                                ("closed_at__isnull", False),
                                ("state", "CLOSED"),
                                models.Q(("closed_by", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="break_closed_by_something",
                    ),
                ],
            },
        ),
    ]

"""Executed prices beside their benchmarks, entered after a conversion is booked. Two new tables: nobody waits."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0024_clearing_payments"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExecutionsRead",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("counted", models.BigIntegerField(default=0)),
                ("seen", models.BigIntegerField(default=0)),
                ("seen_xid", models.BigIntegerField(db_default=0, default=0)),
                ("seen_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Execution",
            fields=[
                (
                    "conversion",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="execution",
                        serialize=False,
                        to="settlement.conversion",
                    ),
                ),
                ("venue", models.CharField(db_default="", max_length=32)),
                ("underlying", models.CharField(max_length=8)),
                ("side", models.CharField(choices=[("buy", "Buy"), ("sell", "Sell")], max_length=4)),
                ("coin", models.DecimalField(decimal_places=8, max_digits=20)),
                ("usdt", models.DecimalField(decimal_places=8, max_digits=28)),
                ("minute", models.DateTimeField()),
                ("order_price", models.DecimalField(decimal_places=8, max_digits=20, null=True)),
                ("sent_price", models.DecimalField(decimal_places=8, max_digits=20, null=True)),
                (
                    "answer",
                    models.CharField(
                        choices=[
                            ("AWAITED", "the venue is still to be asked, or has not answered"),
                            ("KNOWN", "the venue has told it"),
                            ("NONE", "the venue has no such minute, or nobody asks it any more"),
                        ],
                        default="AWAITED",
                        max_length=7,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("left_out_at", models.DateTimeField(null=True)),
                ("minute_price", models.DecimalField(decimal_places=8, max_digits=20, null=True)),
                ("minute_coin", models.DecimalField(decimal_places=8, max_digits=28, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["minute", "conversion"], name="execution_minute"),
                    models.Index(
                        condition=models.Q(("answer", "AWAITED")),
                        fields=["underlying", "minute"],
                        name="execution_awaited",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("answer", "KNOWN"),
                                ("minute_coin__isnull", False),
                                ("minute_price__isnull", False),
                            ),
                            models.Q(
                                models.Q(("answer", "KNOWN"), _negated=True),
                                ("minute_coin__isnull", True),
                                ("minute_price__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="execution_minute_known",
                    )
                ],
            },
        ),
    ]

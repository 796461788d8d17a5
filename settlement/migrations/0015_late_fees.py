"""Fees whose worth in USDT is told after their trades were booked."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0014_disowning"),
    ]

    operations = [
        migrations.CreateModel(
            name="LateFee",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asset", models.CharField(max_length=16)),
                ("amount", models.DecimalField(decimal_places=8, max_digits=28)),
                ("taken_at", models.DateTimeField()),
                (
                    "worth_usdt",
                    models.DecimalField(
                        decimal_places=8, max_digits=28, null=True, verbose_name="worth in USDT"
                    ),
                ),
                ("valued_at", models.DateTimeField(null=True)),
                ("valued_by", models.CharField(blank=True, max_length=64)),
                (
                    "conversion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="late_fees",
                        to="settlement.conversion",
                    ),
                ),
            ],
            options={
                "permissions": [("value_latefee", "Can enter what a late fee was worth")],
                "indexes": [
                    models.Index(
                        condition=models.Q(("valued_at__isnull", True)),
                        fields=["asset"],
                        name="late_fee_waiting",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("conversion", "asset"), name="late_fee_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("valued_at__isnull", True), ("worth_usdt__isnull", True)),
                            models.Q(("valued_at__isnull", False), ("worth_usdt__isnull", False)),
                            _connector="OR",
                        ),
                        name="late_fee_valued",
                    ),
                ],
            },
        ),
    ]

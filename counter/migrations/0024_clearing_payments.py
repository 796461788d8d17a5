"""What was paid between counter and the desk, for good."""

from django.db import migrations, models

from ledger.triggers import append_only, never_emptied


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0023_back_pressure"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="ClearingPayment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reference", models.CharField(max_length=64, unique=True)),
                ("asset", models.CharField(max_length=8)),
                (
                    "direction",
                    models.CharField(
                        choices=[
                            ("to_desk", "counter pays the desk"),
                            ("to_counter", "the desk pays counter"),
                        ],
                        max_length=10,
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=6, max_digits=20)),
                ("requested_by", models.CharField(max_length=150)),
                ("approved_by", models.CharField(max_length=150)),
                ("refusal", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0)), name="clearing_payment_amount_positive"
                    )
                ],
            },
        ),
        append_only("counter_clearingpayment"),
        never_emptied("counter_clearingpayment"),
    ]

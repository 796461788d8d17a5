"""Withdrawals that are reserved first, then confirmed or released; each step is a cash movement of its reference."""

import django.db.models.deletion
import django_fsm
from django.db import migrations, models

KINDS = [
    ("DEPOSIT", "Deposit"),
    ("RESERVATION", "Reservation"),
    ("CONFIRMATION", "Confirmation"),
    ("RELEASE", "Release"),
]
STATES = [("RESERVED", "Reserved"), ("CONFIRMED", "Confirmed"), ("RELEASED", "Released")]


class Migration(migrations.Migration):
    dependencies = [("counter", "0011_cash_movement_once")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="cashmovement", name="kind", field=models.CharField(choices=KINDS, max_length=12)
        ),
        # Django would also drop the index for prefixes here, and hold the table for that: it is gone already.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE counter_cashmovement DROP CONSTRAINT counter_cashmovement_reference_key",
                    "ALTER TABLE counter_cashmovement ADD CONSTRAINT counter_cashmovement_reference_key"
                    " UNIQUE (reference)",
                )
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="cashmovement", name="reference", field=models.CharField(max_length=64)
                )
            ],
        ),
        migrations.CreateModel(
            name="Withdrawal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=6, max_digits=20)),
                ("reference", models.CharField(max_length=64, unique=True)),
                ("state", django_fsm.FSMField(choices=STATES, default="RESERVED", max_length=9)),
                ("reserved_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("released_at", models.DateTimeField(null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="counter.customer"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["customer", "-id"], name="withdrawal_customer"),
                    models.Index(fields=["state", "-id"], name="withdrawal_state"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0)), name="withdrawal_amount_positive"
                    )
                ],
            },
        ),
    ]

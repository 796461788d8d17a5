"""Limits of customers and series: what is used of them, what was set and by whom; and what is paid at once."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

OPTION = {"primary_key": True, "serialize": False, "to": "counter.option"}
NOTIONAL = {"max_digits": 20, "decimal_places": 6, "null": True, "blank": True}


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0016_option_unsettled"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="LimitChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("customer_id", models.BigIntegerField(null=True)),
                ("option_id", models.BigIntegerField(null=True)),
                ("contracts", models.IntegerField(null=True)),
                ("notional", models.DecimalField(decimal_places=6, max_digits=20, null=True)),
                ("orders_per_s", models.IntegerField(null=True)),
                ("reason", models.TextField()),
                ("by", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
            ],
        ),
        append_only("counter_limitchange"),
        never_emptied("counter_limitchange"),
        migrations.CreateModel(
            name="SeriesLimit",
            fields=[
                (
                    "option",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, **OPTION),
                ),
                ("contracts", models.IntegerField(blank=True, null=True)),
                ("notional", models.DecimalField(**NOTIONAL)),
            ],
            options={
                "permissions": [("set_limits", "Can set the limits of a customer or a series")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(contracts__gte=0), name="series_limit_contracts"
                    ),
                    models.CheckConstraint(condition=models.Q(notional__gte=0), name="series_limit_notional"),
                ],
            },
        ),
        migrations.AddField(
            model_name="account",
            name="open_contracts",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="account",
            name="open_cost",
            field=models.DecimalField(
                db_default=Decimal(0), decimal_places=6, default=Decimal(0), max_digits=20
            ),
        ),
        migrations.AddField(
            model_name="account", name="orders_due_at", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="account", name="contracts_limit", field=models.IntegerField(null=True)
        ),
        migrations.AddField(
            model_name="account",
            name="notional_limit",
            field=models.DecimalField(decimal_places=6, max_digits=20, null=True),
        ),
        migrations.AddField(model_name="account", name="orders_limit", field=models.IntegerField(null=True)),
        migrations.AddField(
            model_name="quote", name="contracts_left", field=models.BigIntegerField(null=True)
        ),
        migrations.AddField(
            model_name="quote",
            name="notional_left",
            field=models.DecimalField(decimal_places=6, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="stop",
            field=models.CharField(db_default="RUNNING", default="RUNNING", max_length=16),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="payout_float_usdt",
            field=models.DecimalField(decimal_places=6, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="pays_at_once",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]

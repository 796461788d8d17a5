"""Limits of customers and series: what is used of them, what was set and by whom; and what is paid at once."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

OPTION = {"primary_key": True, "serialize": False, "to": "counter.option"}
NOTIONAL = {"max_digits": 20, "decimal_places": 6, "null": True, "blank": True}
EVERY_SECONDS = 600


def schedule(apps, schema_editor):
    """Counting anew: created when missing, never overwritten."""
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    interval = interval_model.objects.filter(every=EVERY_SECONDS, period="seconds").first()
    interval = interval or interval_model.objects.create(every=EVERY_SECONDS, period="seconds")
    task_model.objects.get_or_create(
        name="count anew what customers have open",
        defaults={"task": "counter.recount", "interval": interval, "expire_seconds": EVERY_SECONDS},
    )


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
            name="SeriesUse",
            fields=[
                (
                    "option",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, **OPTION),
                ),
                ("contracts", models.BigIntegerField()),
                ("notional", models.DecimalField(decimal_places=6, max_digits=28)),
                ("contracts_left", models.BigIntegerField()),
                ("notional_left", models.DecimalField(decimal_places=6, max_digits=28)),
            ],
        ),
        # Measured every second: room on the page keeps those updates out of the index.
        migrations.RunSQL("ALTER TABLE counter_seriesuse SET (fillfactor = 50)", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="CustomerLimit",
            fields=[
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="counter.customer",
                    ),
                ),
                ("contracts", models.IntegerField(blank=True, null=True)),
                ("notional", models.DecimalField(**NOTIONAL)),
                ("orders_per_s", models.IntegerField(blank=True, null=True)),
            ],
            options={
                "permissions": [("set_customerlimit", "Can set a customer's limits")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(contracts__gte=0), name="customer_limit_contracts"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(notional__gte=0), name="customer_limit_notional"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(orders_per_s__gte=1), name="customer_limit_orders"
                    ),
                ],
            },
        ),
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
                "permissions": [("set_serieslimit", "Can set a series' limits")],
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
            model_name="tradingstatus",
            name="payout_float_usdt",
            field=models.DecimalField(decimal_places=6, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="pays_at_once",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.RunPython(schedule, migrations.RunPython.noop),
    ]

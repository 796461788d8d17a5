"""Firm quotes, and which one an order was placed at."""

import django_fsm
from django.db import migrations, models

FOREIGN = {"db_constraint": False, "db_index": False, "on_delete": models.PROTECT}


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0008_expiry"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="FirmQuote",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(choices=[("OPEN", "Open"), ("CLOSE", "Close")], max_length=8)),
                ("position_id", models.BigIntegerField(null=True)),
                ("contracts", models.IntegerField()),
                ("premium", models.DecimalField(decimal_places=6, max_digits=12)),
                ("index_price", models.DecimalField(decimal_places=8, max_digits=20)),
                ("coin", models.DecimalField(decimal_places=8, max_digits=20)),
                ("fair", models.DecimalField(decimal_places=6, max_digits=20)),
                ("spread", models.DecimalField(decimal_places=6, max_digits=20)),
                ("amount", models.DecimalField(decimal_places=6, max_digits=20)),
                ("given_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[("GIVEN", "Given"), ("USED", "Used")], default="GIVEN", max_length=8
                    ),
                ),
                ("order_id", models.BigIntegerField(null=True)),
                ("customer", models.ForeignKey(to="counter.customer", **FOREIGN)),
                ("option", models.ForeignKey(to="counter.option", **FOREIGN)),
            ],
            options={"indexes": [models.Index(fields=["customer", "expires_at"], name="firm_quote_live")]},
        ),
        migrations.AddField(model_name="syncorder", name="quote_id", field=models.BigIntegerField(null=True)),
    ]

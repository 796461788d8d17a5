"""The venue's statements of days. New tables: nobody waits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("settlement", "0027_executions_lost")]

    operations = [
        migrations.CreateModel(
            name="VenueStatement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("underlying", models.CharField(max_length=8)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("TOLD", "told"),
                            ("SILENT", "did not answer"),
                            ("GONE", "no longer available"),
                        ],
                        max_length=6,
                    ),
                ),
                ("why", models.TextField(blank=True)),
                ("asked_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("day", "underlying"), name="venue_statement_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="VenueTrade",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("symbol", models.CharField(max_length=24)),
                ("venue_trade_id", models.CharField(max_length=64)),
                ("venue_order_id", models.CharField(max_length=64)),
                ("side", models.CharField(max_length=4)),
                ("price", models.DecimalField(decimal_places=8, max_digits=20)),
                ("coin", models.DecimalField(decimal_places=8, max_digits=20)),
                ("usdt", models.DecimalField(decimal_places=8, max_digits=28)),
                ("fee", models.DecimalField(decimal_places=8, max_digits=28)),
                ("fee_asset", models.CharField(max_length=64)),
                ("traded_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("symbol", "venue_trade_id"), name="venue_trade_once")
                ],
                "indexes": [models.Index(fields=["traded_at"], name="venue_trade_of_day")],
            },
        ),
    ]

"""What an order's size is charged by: depths of a coin, where its book stands, and the greeks of its options."""

from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

DEPTH = {"decimal_places": 6, "max_digits": 28, "null": True}
BOOK = {"decimal_places": 16, "max_digits": 40}
MEASURES = ("delta", "vega", "premium")


class Migration(migrations.Migration):
    dependencies = [("counter", "0031_portfolio")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="BookFlow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "underlying",
                        "writer",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("underlying", models.CharField(max_length=8)),
                ("writer", models.IntegerField()),
                *((name, models.DecimalField(**BOOK)) for name in MEASURES),
            ],
        ),
        migrations.CreateModel(
            name="DepthChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8)),
                *((f"{name}_depth", models.DecimalField(**DEPTH)) for name in MEASURES),
                ("reason", models.TextField()),
                ("by", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
            ],
        ),
        append_only("counter_depthchange"),
        never_emptied("counter_depthchange"),
        # Every batch of orders changes a row: room on the page keeps those updates out of the index.
        migrations.RunSQL("ALTER TABLE counter_bookflow SET (fillfactor = 20)", migrations.RunSQL.noop),
        migrations.AddField("quote", "delta", models.DecimalField(decimal_places=6, max_digits=8, null=True)),
        migrations.AddField("quote", "vega", models.DecimalField(decimal_places=6, max_digits=20, null=True)),
        *(
            migrations.AddField("tradingstatus", f"{name}_depth", models.DecimalField(**DEPTH))
            for name in MEASURES
        ),
        *(
            migrations.AddField("tradingstatus", f"{name}_base", models.DecimalField(null=True, **BOOK))
            for name in MEASURES
        ),
    ]

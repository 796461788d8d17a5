"""Whose the desk's books are at the venue; what is written there stays."""

from django.db import migrations, models

from ledger.triggers import append_only, never_emptied


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0015_late_fees"),
    ]

    operations = [
        migrations.CreateModel(
            name="VenueAccount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("venue", models.CharField(max_length=32)),
                ("account_id", models.CharField(blank=True, max_length=64)),
                ("adopted_at", models.DateTimeField()),
                ("adopted_by", models.CharField(max_length=64)),
                ("why", models.TextField()),
            ],
        ),
        append_only("settlement_venueaccount"),
        never_emptied("settlement_venueaccount"),
    ]

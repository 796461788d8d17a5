"""What the index was not made of, counted by source, coin and cause."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0019_quotes_seen"),
    ]

    operations = [
        migrations.CreateModel(
            name="IndexRejection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.CharField(max_length=64)),
                ("underlying", models.CharField(max_length=8)),
                ("cause", models.CharField(max_length=16)),
                ("count", models.BigIntegerField()),
                ("bid", models.CharField(blank=True, max_length=32)),
                ("ask", models.CharField(blank=True, max_length=32)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "underlying", "cause"), name="index_rejection_once"
                    )
                ],
            },
        ),
    ]

"""The lease of each leader, in both databases, and the canaries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("config", "0002_tell_conditions")]

    operations = [
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("name", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("token", models.BigIntegerField()),
                ("holder", models.CharField(max_length=120)),
                ("won_at", models.DateTimeField()),
                ("renewed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Canary",
            fields=[
                ("queue", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("sent_at", models.DateTimeField()),
                ("returned_at", models.DateTimeField()),
            ],
            options={"verbose_name_plural": "canaries"},
        ),
    ]

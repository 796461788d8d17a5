"""Nonces of the desk's signed calls."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0003_growth"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsedNonce",
            fields=[
                ("nonce", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("valid_until", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["valid_until"], name="nonce_valid_until")],
            },
        ),
    ]

"""Customers' API keys, and how fast each customer and key asks."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0012_withdrawals"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Pace",
            fields=[
                ("subject", models.CharField(max_length=24, primary_key=True, serialize=False)),
                ("tat_us", models.BigIntegerField()),
                ("every_us", models.BigIntegerField()),
                ("burst", models.BigIntegerField()),
                ("granted", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("label", models.CharField(max_length=64)),
                ("public_id", models.CharField(max_length=32, unique=True)),
                ("encrypted_secret", models.TextField()),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("read", "read: prices, orders, positions, ledger"),
                                ("trade", "trade: firm quotes and orders"),
                            ],
                            max_length=8,
                        ),
                        size=None,
                    ),
                ),
                (
                    "networks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=43), blank=True, default=list, size=None
                    ),
                ),
                (
                    "requests_per_second",
                    models.PositiveIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_keys",
                        to="counter.customer",
                    ),
                ),
            ],
            options={
                "permissions": [("issue_apikey", "Can make and revoke customers' API keys")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("scopes__len__gt", 0)), name="api_key_may_do_something"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("requests_per_second__gt", 0)), name="api_key_rate_positive"
                    ),
                ],
            },
        ),
        # Lost with a crash, which costs nobody anything; written with every request, of which each has room on its page.
        migrations.RunSQL(
            "ALTER TABLE counter_pace SET UNLOGGED, SET (fillfactor = 50)", migrations.RunSQL.noop
        ),
    ]

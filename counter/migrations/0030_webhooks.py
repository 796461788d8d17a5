"""Webhooks: endpoints, what waits to be told, and the attempts."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0029_living_positions"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("public_id", models.CharField(max_length=32, unique=True)),
                ("url", models.CharField(max_length=500)),
                ("label", models.CharField(blank=True, max_length=64)),
                (
                    "types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), blank=True, default=list, size=None
                    ),
                ),
                ("encrypted_secret", models.TextField()),
                ("encrypted_previous", models.TextField(blank=True)),
                ("previous_until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                (
                    "disabled",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "no"),
                            ("customer", "by the customer"),
                            ("staff", "by staff"),
                            ("gone", "the receiver answered 410"),
                        ],
                        default="",
                        max_length=8,
                    ),
                ),
                ("disabled_at", models.DateTimeField(null=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("deleted_at", models.DateTimeField(null=True)),
                ("failures", models.IntegerField(default=0)),
                ("failing_since", models.DateTimeField(null=True)),
                ("open_at", models.DateTimeField(null=True)),
                ("last_ms", models.IntegerField(default=0)),
                (
                    "customer",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="counter.customer",
                    ),
                ),
            ],
            options={
                "permissions": [("operate_webhookendpoint", "Can make, stop and rotate webhook endpoints")],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("type", models.CharField(max_length=32)),
                ("subject_id", models.BigIntegerField()),
                ("event_id", models.CharField(blank=True, db_default="", default="", max_length=40)),
                ("body", models.TextField(blank=True, db_default="", default="")),
                ("happened_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                ("retry_until", models.DateTimeField()),
                ("attempts", models.IntegerField(db_default=0, default=0)),
                ("last_status", models.IntegerField(null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("gave_up_at", models.DateTimeField(null=True)),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="counter.webhookendpoint",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="counter.customer",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "permissions": [("resend_webhookdelivery", "Can send webhooks again")],
            },
        ),
        migrations.CreateModel(
            name="WebhookAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.IntegerField()),
                ("at", models.DateTimeField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[("delivered", "Delivered"), ("refused", "Refused"), ("unknown", "Unknown")],
                        max_length=9,
                    ),
                ),
                ("status", models.IntegerField(null=True)),
                ("took_ms", models.IntegerField()),
                ("told", models.CharField(blank=True, max_length=500)),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tries",
                        to="counter.webhookdelivery",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="webhookendpoint",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("disabled", "")),
                fields=["customer"],
                name="webhook_endpoint_hears",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookendpoint",
            index=models.Index(fields=["customer", "-id"], name="webhook_endpoint_customer"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["endpoint", "due_at"],
                name="webhook_delivery_due",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["endpoint", "retry_until"],
                name="webhook_delivery_waits",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["endpoint", "-id"], name="webhook_delivery_endpoint"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["customer", "-id"], name="webhook_delivery_customer"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "type", "subject_id"), name="webhook_delivery_once"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("event_id", ""), _negated=True),
                fields=["event_id"],
                name="webhook_delivery_event",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("gave_up_at__isnull", False)),
                fields=["id"],
                name="webhook_delivery_gave_up",
            ),
        ),
    ]

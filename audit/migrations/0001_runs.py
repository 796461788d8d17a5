"""What audits have found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                ("broken", models.BigIntegerField()),
                ("in_flight", models.BigIntegerField()),
                ("unchecked", models.JSONField(default=list)),
                ("report", models.JSONField()),
            ],
        ),
    ]

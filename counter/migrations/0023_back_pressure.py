"""Which share of a coin's orders is admitted, and what that is measured by."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0022_protected_states"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="DeskProgress",
            fields=[
                ("underlying", models.CharField(max_length=8, primary_key=True, serialize=False)),
                ("settled", models.BigIntegerField(default=0)),
                ("newest_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "desk progress",
            },
        ),
        migrations.AddField(
            model_name="deskcondition",
            name="venue_ms",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="admitted_permille",
            field=models.SmallIntegerField(db_default=1000, default=1000),
        ),
    ]

"""What the processes that stream say of themselves."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0014_trading_switches"),
    ]

    operations = [
        migrations.CreateModel(
            name="StreamProcess",
            fields=[
                ("name", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("listeners", models.IntegerField()),
                ("customers", models.IntegerField()),
                ("opened", models.BigIntegerField()),
                ("events", models.BigIntegerField()),
                ("too_slow", models.BigIntegerField()),
                ("revoked", models.BigIntegerField()),
            ],
            options={
                "verbose_name_plural": "stream processes",
            },
        ),
    ]

"""When a coin whose orders executed nothing time after time is tried again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("settlement", "0012_carries")]

    operations = [
        migrations.CreateModel(
            name="CoinRest",
            fields=[
                ("underlying", models.CharField(max_length=8, primary_key=True, serialize=False)),
                ("in_a_row", models.IntegerField()),
                ("due_at", models.DateTimeField()),
                ("why", models.TextField()),
            ],
        ),
    ]

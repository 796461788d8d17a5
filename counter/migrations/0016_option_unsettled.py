"""An index of the options that are not settled: the sweep that ends them asks every two seconds."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("counter", "0015_stream_processes")]

    operations = [
        AddIndexConcurrently(
            model_name="option",
            index=models.Index(
                condition=models.Q(("state", "SETTLED"), _negated=True),
                fields=["state", "expires_at"],
                name="option_unsettled",
            ),
        ),
    ]

"""What a customer holds, by an index that has no position that is over."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("counter", "0028_doubtful_coin")]

    operations = [
        # What an interrupted migration left is invalid and would be in the way.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS position_living", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="position",
            index=models.Index(
                condition=models.Q(("state__in", ["OPEN", "CLOSING"])),
                fields=["customer", "option", "-id"],
                name="position_living",
            ),
        ),
    ]

"""Which of a coin's rounds in flight has sent a conversion; those of before were the only one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("settlement", "0022_protected_states")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField("conversion", "place", models.SmallIntegerField(default=0, db_default=0)),
    ]

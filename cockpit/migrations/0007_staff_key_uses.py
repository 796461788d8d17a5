"""When a key of staff was used last."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cockpit", "0006_close_note")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField("staffkey", "last_used_at", models.DateTimeField(null=True)),
    ]

"""What the closer of a day says of what the venue tells otherwise."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cockpit", "0005_staff_keys")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField("dayclose", "note", models.TextField(blank=True, db_default="", default="")),
        migrations.AddField("daywork", "note", models.TextField(blank=True, db_default="", default="")),
    ]

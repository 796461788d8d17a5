"""A table of millions: vacuum before the dead are many where the sweeps look."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("acceptance", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE acceptance_acceptedorder SET (autovacuum_vacuum_scale_factor = 0.05)",
            migrations.RunSQL.noop,
        ),
    ]

"""History cannot be changed, and system accounts have the ids below 1000 to themselves."""

from django.db import migrations

from ledger.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("counter", "0001_initial")]

    operations = [
        append_only("counter_transfer"),
        append_only("counter_cashmovement"),
        migrations.RunSQL(
            "ALTER TABLE counter_account ALTER COLUMN id SET START WITH 1000 RESTART WITH 1000",
            migrations.RunSQL.noop,
        ),
        # Quotes are rewritten every second: room on the page keeps those updates out of the indexes.
        migrations.RunSQL("ALTER TABLE counter_quote SET (fillfactor = 50)", migrations.RunSQL.noop),
    ]

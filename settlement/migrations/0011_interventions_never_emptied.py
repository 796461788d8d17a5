"""What was asked and decided cannot be truncated either."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("settlement", "0010_book_capital")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.RunSQL(
            "CREATE TRIGGER settlement_intervention_never_emptied BEFORE TRUNCATE ON settlement_intervention"
            " FOR EACH STATEMENT EXECUTE FUNCTION settlement_intervention_kept()",
            "DROP TRIGGER settlement_intervention_never_emptied ON settlement_intervention",
        ),
    ]

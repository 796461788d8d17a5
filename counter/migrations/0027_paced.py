"""Whether a coin's orders are paced by how fast the desk settles."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0026_book_risk"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="tradingstatus",
            name="is_paced",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]

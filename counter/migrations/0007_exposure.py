"""What a coin's exposure was judged at, for those who watch it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0006_never_emptied"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="tradingstatus",
            name="exposure_usdt",
            field=models.DecimalField(decimal_places=6, max_digits=28, null=True),
        ),
    ]

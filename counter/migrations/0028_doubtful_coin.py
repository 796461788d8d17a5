"""How much the orders in conversions of unknown outcome come to, as the desk says."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0027_paced"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="deskcondition",
            name="doubtful_coin",
            field=models.DecimalField(decimal_places=8, max_digits=20, null=True),
        ),
    ]

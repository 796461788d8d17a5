"""What the risk of the option book is measured from, and what of it a coin was judged by."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0025_clearing_stated_again"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="quote",
            name="forward",
            field=models.DecimalField(decimal_places=8, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="book_delta_usdt",
            field=models.DecimalField(decimal_places=6, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name="tradingstatus",
            name="book_vega_usdt",
            field=models.DecimalField(decimal_places=6, max_digits=28, null=True),
        ),
    ]

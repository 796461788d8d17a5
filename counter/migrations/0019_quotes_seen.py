"""What customers may have seen of a quote in the last seconds: it bounds the orders that name no bound themselves."""

from django.db import migrations, models

PRICE = {"decimal_places": 14, "max_digits": 32, "null": True}
PRICES = ("lowest_ask", "lowest_ask_before", "highest_bid", "highest_bid_before")


class Migration(migrations.Migration):
    dependencies = [("counter", "0018_forget_index")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        *(migrations.AddField("quote", name, models.DecimalField(**PRICE)) for name in PRICES),
        migrations.AddField("quote", "seen_since", models.DateTimeField(null=True)),
    ]

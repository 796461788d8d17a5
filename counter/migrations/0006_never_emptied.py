"""History cannot be truncated either."""

from django.db import migrations

from ledger.triggers import never_emptied


class Migration(migrations.Migration):
    dependencies = [("counter", "0005_containment")]

    operations = [
        never_emptied("counter_transfer"),
        never_emptied("counter_cashmovement"),
        never_emptied("counter_tradingstatuschange"),
    ]

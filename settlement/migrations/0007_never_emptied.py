"""The desk's history cannot be truncated either."""

from django.db import migrations

from ledger.triggers import never_emptied


class Migration(migrations.Migration):
    dependencies = [("settlement", "0006_failures_and_halts")]

    operations = [
        never_emptied("settlement_desktransfer"),
        never_emptied("settlement_statechange"),
        never_emptied("settlement_allocation"),
        never_emptied("settlement_fill"),
    ]

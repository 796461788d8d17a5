"""The desk's history cannot be changed."""

from django.db import migrations

from ledger.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("settlement", "0001_initial")]

    operations = [
        append_only("settlement_desktransfer"),
        append_only("settlement_statechange"),
        append_only("settlement_allocation"),
        append_only("settlement_fill"),
    ]

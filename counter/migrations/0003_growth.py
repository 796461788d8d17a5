"""Tables of millions: what the index by order cost every transfer, and room and vacuum where rows change."""

from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("counter", "0002_append_only")]

    operations = [
        # What an interrupted migration left is invalid and would be in the way.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS transfer_order_blocks", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="transfer",
            index=BrinIndex(
                fields=["order_id"], name="transfer_order_blocks", pages_per_range=16, autosummarize=True
            ),
        ),
        RemoveIndexConcurrently(model_name="transfer", name="transfer_order"),
        # Every order changes a balance: room on the page keeps that out of the indexes.
        migrations.RunSQL("ALTER TABLE counter_account SET (fillfactor = 50)", migrations.RunSQL.noop),
        # Dead entries lie where the sweeps look for the few orders that are under way: a fifth of millions is too many.
        migrations.RunSQL(
            "ALTER TABLE counter_syncorder SET (autovacuum_vacuum_scale_factor = 0.05)",
            migrations.RunSQL.noop,
        ),
        # What never changes is frozen when it is first vacuumed, and not read for that again.
        migrations.RunSQL(
            "ALTER TABLE counter_transfer SET (autovacuum_freeze_min_age = 0)", migrations.RunSQL.noop
        ),
    ]

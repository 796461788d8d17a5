"""Tables of millions: no index that only cost, and append-only rows frozen when they are first vacuumed."""

import django.db.models.deletion
from django.db import migrations, models

APPEND_ONLY = (
    "settlement_allocation",
    "settlement_desktransfer",
    "settlement_fill",
    "settlement_statechange",
)


def _without_index(index: str, **field: object) -> migrations.SeparateDatabaseAndState:
    """A foreign key gives its index up while others go on reading and writing."""
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {index}", migrations.RunSQL.noop)
        ],
        state_operations=[migrations.AlterField(**field)],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("settlement", "0004_ask_venue_permissions")]

    operations = [
        _without_index(
            "settlement_desktransfer_debit_account_id_77038cb8",
            model_name="desktransfer",
            name="debit_account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="debits",
                to="settlement.deskaccount",
            ),
        ),
        _without_index(
            "settlement_desktransfer_credit_account_id_595fc0ef",
            model_name="desktransfer",
            name="credit_account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="credits",
                to="settlement.deskaccount",
            ),
        ),
        *(
            migrations.RunSQL(
                f"ALTER TABLE {table} SET (autovacuum_freeze_min_age = 0)", migrations.RunSQL.noop
            )
            for table in APPEND_ONLY
        ),
    ]

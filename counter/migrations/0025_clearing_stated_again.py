"""A payment is known by its reference and the desk's id: what was refused may come again, what is booked is booked once.

Each step may run again where the one after it was interrupted. The reference is let go only when both indexes stand.
"""

from django.db import migrations, models

WAITS_BRIEFLY = "SET lock_timeout = '2s'; {}; RESET lock_timeout"
COLUMN = "ALTER TABLE counter_clearingpayment ADD COLUMN IF NOT EXISTS payment_id bigint NULL"
NO_COLUMN = "ALTER TABLE counter_clearingpayment DROP COLUMN payment_id"
FREE = "ALTER TABLE counter_clearingpayment DROP CONSTRAINT IF EXISTS counter_clearingpayment_reference_key"
BOUND = "ALTER TABLE counter_clearingpayment ADD CONSTRAINT counter_clearingpayment_reference_key UNIQUE (reference)"
BOOKED_ONCE = models.UniqueConstraint(
    fields=["reference"], condition=models.Q(("refusal", "")), name="clearing_payment_booked_once"
)
ANSWERED_ONCE = models.UniqueConstraint(
    fields=["reference", "payment_id"], name="clearing_payment_answered_once"
)


def built(constraint: models.UniqueConstraint, columns: str) -> list[migrations.RunSQL]:
    """The unique index of a constraint; an invalid one, left by an interruption, would be in the way."""
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {constraint.name}"
    create = f"CREATE UNIQUE INDEX CONCURRENTLY {constraint.name} ON counter_clearingpayment {columns}"
    return [migrations.RunSQL(drop, migrations.RunSQL.noop), migrations.RunSQL(create, drop)]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("counter", "0024_clearing_payments")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(WAITS_BRIEFLY.format(COLUMN), WAITS_BRIEFLY.format(NO_COLUMN)),
                *built(BOOKED_ONCE, "(reference) WHERE refusal = ''"),
                *built(ANSWERED_ONCE, "(reference, payment_id)"),
                migrations.RunSQL(WAITS_BRIEFLY.format(FREE), WAITS_BRIEFLY.format(BOUND)),
            ],
            state_operations=[
                migrations.AddField("clearingpayment", "payment_id", models.BigIntegerField(null=True)),
                migrations.AddConstraint("clearingpayment", BOOKED_ONCE),
                migrations.AddConstraint("clearingpayment", ANSWERED_ONCE),
                migrations.AlterField("clearingpayment", "reference", models.CharField(max_length=64)),
            ],
        ),
    ]

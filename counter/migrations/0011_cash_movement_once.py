"""A reference of the wallet begins once and ends once; until now it was there once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("counter", "0010_sweep_quotes")]

    operations = [
        # Nobody searches references by their beginning any more.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS counter_cashmovement_reference_09a8e51f_like",
            "CREATE INDEX CONCURRENTLY counter_cashmovement_reference_09a8e51f_like"
            " ON counter_cashmovement (reference varchar_pattern_ops)",
        ),
        # What an interrupted migration left is invalid and would be in the way.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS cash_movement_once", migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "CREATE UNIQUE INDEX CONCURRENTLY cash_movement_once ON counter_cashmovement"
                    " (reference, (kind IN ('CONFIRMATION', 'RELEASE')))",
                    "DROP INDEX CONCURRENTLY cash_movement_once",
                )
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="cashmovement",
                    constraint=models.UniqueConstraint(
                        "reference",
                        models.ExpressionWrapper(
                            models.Q(("kind__in", ["CONFIRMATION", "RELEASE"])),
                            output_field=models.BooleanField(),
                        ),
                        name="cash_movement_once",
                    ),
                )
            ],
        ),
    ]

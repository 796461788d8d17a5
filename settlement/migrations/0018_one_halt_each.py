"""One halt stands at a time of a venue as a whole and of each coin there."""

from django.db import migrations, models

ADD = """
    CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS venue_halt_one_each
    ON settlement_venuehalt (venue, underlying) WHERE lifted_at IS NULL
"""
DROP_OLD = "DROP INDEX CONCURRENTLY IF EXISTS venue_halt_one_standing"
ADD_OLD = """
    CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS venue_halt_one_standing
    ON settlement_venuehalt (venue) WHERE lifted_at IS NULL
"""
DROP = "DROP INDEX CONCURRENTLY IF EXISTS venue_halt_one_each"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("settlement", "0017_halts_of_coins")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD, DROP), migrations.RunSQL(DROP_OLD, ADD_OLD)],
            state_operations=[
                migrations.RemoveConstraint(model_name="venuehalt", name="venue_halt_one_standing"),
                migrations.AddConstraint(
                    model_name="venuehalt",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("lifted_at__isnull", True)),
                        fields=("venue", "underlying"),
                        name="venue_halt_one_each",
                    ),
                ),
            ],
        )
    ]

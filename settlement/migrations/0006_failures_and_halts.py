"""Attempts tell the whole verdict; a venue can be halted, and its halts are kept."""

import django.contrib.postgres.functions
from django.db import migrations, models

KEEP = """
    CREATE FUNCTION settlement_venuehalt_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.lifted_at IS NULL
            AND (NEW.venue, NEW.reason, NEW.began_at) = (OLD.venue, OLD.reason, OLD.began_at)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_venuehalt keeps what happened' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER settlement_venuehalt_kept BEFORE UPDATE OR DELETE ON settlement_venuehalt
        FOR EACH ROW EXECUTE FUNCTION settlement_venuehalt_kept();
"""
KEEP_NO_MORE = """
    DROP TRIGGER settlement_venuehalt_kept ON settlement_venuehalt; DROP FUNCTION settlement_venuehalt_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("settlement", "0005_growth")]

    operations = [
        # The default comes after the column: given together, every row there is would be written anew under lock.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE settlement_attempt ADD COLUMN request_id uuid NULL;"
                    "ALTER TABLE settlement_attempt ALTER COLUMN request_id SET DEFAULT gen_random_uuid()",
                    "ALTER TABLE settlement_attempt DROP COLUMN request_id",
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name="attempt",
                    name="request_id",
                    field=models.UUIDField(
                        null=True, db_default=django.contrib.postgres.functions.RandomUUID()
                    ),
                )
            ],
        ),
        migrations.AddField(
            model_name="attempt",
            name="venue",
            field=models.CharField(db_default="", max_length=32),
        ),
        migrations.AddField(
            model_name="attempt",
            name="follow",
            field=models.CharField(blank=True, db_default="", max_length=16),
        ),
        migrations.AddField(
            model_name="attempt",
            name="http_status",
            field=models.SmallIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="VenueHalt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("venue", models.CharField(max_length=32)),
                ("reason", models.TextField()),
                ("began_at", models.DateTimeField()),
                ("asked", models.IntegerField(default=0)),
                ("ask_at", models.DateTimeField()),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lifted_by", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "permissions": [("lift_venuehalt", "Can lift the halt of a venue")],
                "indexes": [models.Index(fields=["venue", "began_at"], name="venue_halt_began")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("lifted_at__isnull", True)),
                        fields=("venue",),
                        name="venue_halt_one_standing",
                    )
                ],
            },
        ),
        migrations.RunSQL(sql=KEEP, reverse_sql=KEEP_NO_MORE),
    ]

"""A halt may be that of one coin's market, and may go on from one that was lifted for a moment."""

from django.db import migrations, models

KEEP = """
    CREATE OR REPLACE FUNCTION settlement_venuehalt_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.lifted_at IS NULL
            AND (NEW.venue, NEW.underlying, NEW.reason) = (OLD.venue, OLD.underlying, OLD.reason)
            -- A beginning that a wrong clock put into the future may be put right.
            AND NEW.began_at <= OLD.began_at AND (OLD.since IS NULL OR NEW.since <= OLD.since)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_venuehalt keeps what happened' USING ERRCODE = 'restrict_violation';
    END $$;
"""
KEEP_AS_BEFORE = """
    CREATE OR REPLACE FUNCTION settlement_venuehalt_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.lifted_at IS NULL
            AND (NEW.venue, NEW.reason, NEW.began_at) = (OLD.venue, OLD.reason, OLD.began_at)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_venuehalt keeps what happened' USING ERRCODE = 'restrict_violation';
    END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("settlement", "0016_venue_account")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="venuehalt",
            name="underlying",
            field=models.CharField(blank=True, db_default="", default="", max_length=8),
        ),
        migrations.AddField(
            model_name="venuehalt",
            name="since",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(sql=KEEP, reverse_sql=KEEP_AS_BEFORE),
    ]

"""Each step of an accepted order is kept, append-only; the version before, which logs nothing, is logged for."""

from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

# Code that logs raises the version by one in the statement that moves the state (infra.db.transitions), and gives a new
# order its first. What does neither is noted here, so that no history has a gap while both versions serve.
LOG_FOR_OTHERS = """
    CREATE FUNCTION acceptance_acceptedorder_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO acceptance_orderstep
                (order_id, number, from_state, to_state, conversion_id, at, unlogged)
            VALUES (NEW.id, 0, '', NEW.state, NEW.conversion_id, NEW.received_at, true);
            RETURN NULL;
        END IF;
        NEW.version := OLD.version + 1;
        INSERT INTO acceptance_orderstep
            (order_id, number, from_state, to_state, conversion_id, at, unlogged)
        VALUES (NEW.id, NEW.version, OLD.state, NEW.state, COALESCE(NEW.conversion_id, OLD.conversion_id),
                clock_timestamp(), true);
        RETURN NEW;
    END $$;
    CREATE TRIGGER acceptance_acceptedorder_received_unlogged AFTER INSERT ON acceptance_acceptedorder
        FOR EACH ROW WHEN (NEW.version = 0) EXECUTE FUNCTION acceptance_acceptedorder_log();
    CREATE TRIGGER acceptance_acceptedorder_moved_unlogged BEFORE UPDATE ON acceptance_acceptedorder
        FOR EACH ROW WHEN (NEW.state <> OLD.state AND NEW.version = OLD.version)
        EXECUTE FUNCTION acceptance_acceptedorder_log();
"""
LOG_NO_MORE = """
    DROP TRIGGER acceptance_acceptedorder_received_unlogged ON acceptance_acceptedorder;
    DROP TRIGGER acceptance_acceptedorder_moved_unlogged ON acceptance_acceptedorder;
    DROP FUNCTION acceptance_acceptedorder_log();
"""
# No order is being inserted meanwhile: the new column has locked the table.
BEGIN = """
    INSERT INTO acceptance_orderstepsbegin (after_id) SELECT COALESCE(max(id), 0) FROM acceptance_acceptedorder
"""


class Migration(migrations.Migration):
    dependencies = [
        ("acceptance", "0004_protected_states"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="OrderStep",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "order_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("order_id", models.BigIntegerField()),
                ("number", models.IntegerField()),
                ("from_state", models.CharField(blank=True, max_length=12)),
                ("to_state", models.CharField(max_length=12)),
                ("conversion_id", models.BigIntegerField(null=True)),
                ("at", models.DateTimeField()),
                ("unlogged", models.BooleanField(db_default=False)),
            ],
        ),
        migrations.CreateModel(
            name="OrderStepsBegin",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("after_id", models.BigIntegerField()),
            ],
        ),
        append_only("acceptance_orderstep"),
        never_emptied("acceptance_orderstep"),
        append_only("acceptance_orderstepsbegin"),
        never_emptied("acceptance_orderstepsbegin"),
        migrations.RunSQL(
            "ALTER TABLE acceptance_orderstep SET (autovacuum_freeze_min_age = 0)", migrations.RunSQL.noop
        ),
        migrations.AddField(
            model_name="acceptedorder",
            name="version",
            field=models.IntegerField(db_default=0),
        ),
        migrations.RunSQL(LOG_FOR_OTHERS, LOG_NO_MORE),
        migrations.RunSQL(BEGIN, migrations.RunSQL.noop),
    ]

"""Many interventions of one kind that two people decide at once."""

import django.db.models.deletion
import django_fsm
from django.db import migrations, models

KEEP = """
    CREATE FUNCTION settlement_batch_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.state <> NEW.state
            AND (NEW.id, NEW.kind, NEW.subject, NEW.size, NEW.reason, NEW.evidence, NEW.requested_by_id,
                 NEW.requested_by, NEW.requested_at)
              = (OLD.id, OLD.kind, OLD.subject, OLD.size, OLD.reason, OLD.evidence, OLD.requested_by_id,
                 OLD.requested_by, OLD.requested_at)
            AND (OLD.state = 'REQUESTED' OR (NEW.decided_by_id, NEW.decided_by, NEW.decision)
                 = (OLD.decided_by_id, OLD.decided_by, OLD.decision))
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_batch keeps what was asked and decided' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER settlement_batch_kept BEFORE UPDATE OR DELETE ON settlement_batch
        FOR EACH ROW EXECUTE FUNCTION settlement_batch_kept();
    CREATE FUNCTION settlement_batchrow_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.ended_at IS NULL
            AND (NEW.id, NEW.batch_id, NEW.subject_id, NEW.subject_state, NEW.subject_version)
              = (OLD.id, OLD.batch_id, OLD.subject_id, OLD.subject_state, OLD.subject_version)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_batchrow keeps what was listed' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER settlement_batchrow_kept BEFORE UPDATE OR DELETE ON settlement_batchrow
        FOR EACH ROW EXECUTE FUNCTION settlement_batchrow_kept();
"""
KEEP_NO_MORE = """
    DROP TRIGGER settlement_batch_kept ON settlement_batch; DROP FUNCTION settlement_batch_kept();
    DROP TRIGGER settlement_batchrow_kept ON settlement_batchrow; DROP FUNCTION settlement_batchrow_kept();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0019_break_exits"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry", "Retry"),
                            ("take_over", "Take Over"),
                            ("book_by_hand", "Book By Hand"),
                            ("release", "Release"),
                            ("write_off", "Write Off"),
                            ("book_capital", "Book Capital"),
                            ("mark_found", "Mark Found"),
                            ("keep_ours", "Keep Ours"),
                            ("take_theirs", "Take Theirs"),
                            ("disown", "Disown"),
                            ("accept", "Accept"),
                            ("end_hold", "End Hold"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        choices=[
                            ("conversion", "Conversion"),
                            ("funds_transfer", "Funds Transfer"),
                            ("conflict", "Conflict"),
                            ("intervention", "Intervention"),
                            ("break", "Break"),
                            ("accepted_order", "Order"),
                            ("venue_halt", "Halt"),
                        ],
                        max_length=16,
                    ),
                ),
                ("size", models.IntegerField()),
                ("reason", models.TextField()),
                ("evidence", models.TextField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("REQUESTED", "Requested"),
                            ("RUNNING", "Running"),
                            ("DONE", "Done"),
                            ("REJECTED", "Rejected"),
                        ],
                        default="REQUESTED",
                        max_length=12,
                    ),
                ),
                ("requested_by_id", models.BigIntegerField()),
                ("requested_by", models.CharField(max_length=150)),
                ("requested_at", models.DateTimeField()),
                ("decided_by_id", models.BigIntegerField(null=True)),
                ("decided_by", models.CharField(blank=True, max_length=150)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision", models.TextField(blank=True)),
                ("done_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "batches",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["REQUESTED", "RUNNING"])),
                        fields=["id"],
                        name="batch_open",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["REQUESTED", "REJECTED"]),
                            models.Q(("decided_by_id", models.F("requested_by_id")), _negated=True),
                            _connector="OR",
                        ),
                        name="batch_maker_is_not_checker",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("decided_at__isnull", True),
                                ("decided_by", ""),
                                ("decided_by_id__isnull", True),
                                ("state", "REQUESTED"),
                            ),
                            models.Q(
                                models.Q(("state", "REQUESTED"), _negated=True),
                                ("decided_at__isnull", False),
                                ("decided_by_id__isnull", False),
                                models.Q(("decided_by", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="batch_decided_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True), models.Q(("evidence", ""), _negated=True)
                        ),
                        name="batch_says_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BatchRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject_id", models.BigIntegerField()),
                ("subject_state", models.CharField(max_length=12)),
                ("subject_version", models.IntegerField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("refusal", models.TextField(blank=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="settlement.batch"
                    ),
                ),
                (
                    "intervention",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="settlement.intervention"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=["batch", "id"],
                        name="batch_row_waiting",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "subject_id"), name="batch_row_once")
                ],
            },
        ),
        migrations.RunSQL(KEEP, KEEP_NO_MORE),
    ]

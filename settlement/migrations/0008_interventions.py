"""People decide what the desk cannot finish: requests, decisions, fills booked by hand, what is written off."""

from decimal import Decimal

import django_fsm
from django.db import migrations, models

KEEP = """
    CREATE FUNCTION settlement_intervention_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.state = 'REQUESTED' AND NEW.state <> 'REQUESTED'
            AND (NEW.id, NEW.kind, NEW.subject, NEW.subject_id, NEW.subject_state, NEW.subject_version, NEW.terms,
                 NEW.reason, NEW.evidence, NEW.requested_by_id, NEW.requested_by, NEW.requested_at)
              = (OLD.id, OLD.kind, OLD.subject, OLD.subject_id, OLD.subject_state, OLD.subject_version, OLD.terms,
                 OLD.reason, OLD.evidence, OLD.requested_by_id, OLD.requested_by, OLD.requested_at)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_intervention keeps what was asked and decided' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER settlement_intervention_kept BEFORE UPDATE OR DELETE ON settlement_intervention
        FOR EACH ROW EXECUTE FUNCTION settlement_intervention_kept();
"""
KEEP_NO_MORE = """
    DROP TRIGGER settlement_intervention_kept ON settlement_intervention;
    DROP FUNCTION settlement_intervention_kept();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0007_never_emptied"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="conversion",
            name="written_off_coin",
            field=models.DecimalField(db_default=0, decimal_places=8, default=Decimal("0"), max_digits=20),
        ),
        migrations.AddField(
            model_name="conversion",
            name="written_off_usdt",
            field=models.DecimalField(db_default=0, decimal_places=8, default=Decimal("0"), max_digits=28),
        ),
        migrations.AddField(
            model_name="fill",
            name="intervention_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="fundstransfer",
            name="state",
            field=django_fsm.FSMField(
                choices=[
                    ("PLANNED", "Planned"),
                    ("SUBMITTED", "Submitted"),
                    ("UNKNOWN", "Unknown"),
                    ("CONFIRMED", "Confirmed"),
                    ("MANUAL", "Manual"),
                    ("RELEASED", "Released"),
                    ("WRITTEN_OFF", "Written Off"),
                ],
                default="PLANNED",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="statechange",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="Intervention",
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
                            ("mark_found", "Mark Found"),
                            ("keep_ours", "Keep Ours"),
                            ("take_theirs", "Take Theirs"),
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
                        ],
                        max_length=16,
                    ),
                ),
                ("subject_id", models.BigIntegerField()),
                ("subject_state", models.CharField(max_length=12)),
                ("subject_version", models.IntegerField()),
                ("terms", models.JSONField(default=dict)),
                ("reason", models.TextField()),
                ("evidence", models.TextField(blank=True)),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("REQUESTED", "Requested"),
                            ("APPLIED", "Applied"),
                            ("REJECTED", "Rejected"),
                            ("VOID", "Void"),
                        ],
                        default="REQUESTED",
                        max_length=12,
                    ),
                ),
                ("version", models.IntegerField(default=0)),
                ("requested_by_id", models.BigIntegerField()),
                ("requested_by", models.CharField(max_length=150)),
                ("requested_at", models.DateTimeField()),
                ("decided_by_id", models.BigIntegerField(null=True)),
                ("decided_by", models.CharField(blank=True, max_length=150)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision", models.TextField(blank=True)),
            ],
            options={
                "permissions": [
                    (
                        "retry_conversion",
                        "Can have a conversion in a person's hands asked for and converted anew",
                    ),
                    ("take_over_conversion", "Can take a conversion out of the machine's hands"),
                    ("book_by_hand_conversion", "Can request that a conversion is booked by hand"),
                    ("release_conversion", "Can request that the orders of a conversion are released"),
                    ("write_off_conversion", "Can request that a conversion is written off to suspense"),
                    ("retry_fundstransfer", "Can have a funds transfer in a person's hands looked for again"),
                    ("take_over_fundstransfer", "Can take a funds transfer out of the machine's hands"),
                    ("mark_found_fundstransfer", "Can request that a funds transfer is booked as found"),
                    ("release_fundstransfer", "Can request that a funds transfer counts as never done"),
                    (
                        "write_off_fundstransfer",
                        "Can request that a funds transfer is written off to suspense",
                    ),
                    ("keep_ours_conflict", "Can resolve a conflict by keeping what the desk holds"),
                    ("take_theirs_conflict", "Can request that an order that was kept aside is taken in"),
                    ("approve_intervention", "Can approve and reject what somebody else requested"),
                ],
                "indexes": [
                    models.Index(fields=["subject", "subject_id", "id"], name="intervention_subject")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["REQUESTED", "VOID"]),
                            ("kind__in", ["retry", "take_over", "keep_ours"]),
                            models.Q(("decided_by_id", models.F("requested_by_id")), _negated=True),
                            _connector="OR",
                        ),
                        name="intervention_maker_is_not_checker",
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
                        name="intervention_decided_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True),
                            models.Q(
                                ("kind__in", ["retry", "take_over", "keep_ours"]),
                                models.Q(("evidence", ""), _negated=True),
                                _connector="OR",
                            ),
                        ),
                        name="intervention_says_why",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "REQUESTED")),
                        fields=("subject", "subject_id"),
                        name="intervention_one_waiting",
                    ),
                ],
            },
        ),
        migrations.RunSQL(sql=KEEP, reverse_sql=KEEP_NO_MORE),
    ]

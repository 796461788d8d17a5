"""Two people end a withdrawal that the wallet service does not; what it says too late is kept and answered."""

import django.db.models.deletion
import django_fsm
from django.db import migrations, models

KEEP = """
    CREATE FUNCTION counter_withdrawaldecision_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.state = 'REQUESTED' AND NEW.state <> 'REQUESTED'
            AND (NEW.id, NEW.withdrawal_id, NEW.step, NEW.reason, NEW.evidence, NEW.requested_by_id, NEW.requested_by,
                 NEW.requested_at)
              = (OLD.id, OLD.withdrawal_id, OLD.step, OLD.reason, OLD.evidence, OLD.requested_by_id, OLD.requested_by,
                 OLD.requested_at)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'counter_withdrawaldecision keeps what was asked and decided'
            USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER counter_withdrawaldecision_kept BEFORE UPDATE OR DELETE ON counter_withdrawaldecision
        FOR EACH ROW EXECUTE FUNCTION counter_withdrawaldecision_kept();
"""
KEEP_NO_MORE = """
    DROP TRIGGER counter_withdrawaldecision_kept ON counter_withdrawaldecision;
    DROP FUNCTION counter_withdrawaldecision_kept();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0020_index_rejections"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="WithdrawalDecision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "step",
                    models.CharField(
                        choices=[
                            ("confirm", "It was paid"),
                            ("release", "It was not paid"),
                            ("take_back", "It was paid after all: take it from the customer again"),
                            ("give_back", "It was not paid after all: give it back to the customer"),
                            ("explain", "The wallet's late word is explained: book nothing"),
                        ],
                        max_length=9,
                    ),
                ),
                ("evidence", models.CharField(max_length=200)),
                ("reason", models.TextField()),
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
                ("requested_by_id", models.BigIntegerField()),
                ("requested_by", models.CharField(max_length=150)),
                ("requested_at", models.DateTimeField()),
                ("decided_by_id", models.BigIntegerField(null=True)),
                ("decided_by", models.CharField(blank=True, max_length=150)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision", models.TextField(blank=True)),
                (
                    "withdrawal",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="counter.withdrawal"),
                ),
            ],
            options={
                "permissions": [
                    ("end_withdrawal", "Can request that a withdrawal is ended without the wallet service"),
                    ("approve_withdrawaldecision", "Can approve and reject the end of a withdrawal"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LateWord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "said",
                    models.CharField(
                        choices=[
                            ("RESERVED", "Reserved"),
                            ("CONFIRMED", "Confirmed"),
                            ("RELEASED", "Released"),
                        ],
                        max_length=9,
                    ),
                ),
                ("heard_at", models.DateTimeField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[("OPEN", "Open"), ("ANSWERED", "Answered")], default="OPEN", max_length=12
                    ),
                ),
                (
                    "withdrawal",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="counter.withdrawal"
                    ),
                ),
                (
                    "answer",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="counter.withdrawaldecision",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="withdrawaldecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "APPLIED"), _negated=True),
                    models.Q(("decided_by_id", models.F("requested_by_id")), _negated=True),
                    _connector="OR",
                ),
                name="withdrawal_decision_maker_is_not_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawaldecision",
            constraint=models.CheckConstraint(
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
                name="withdrawal_decision_decided_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawaldecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("reason", ""), _negated=True), models.Q(("evidence", ""), _negated=True)
                ),
                name="withdrawal_decision_says_why",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawaldecision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "REQUESTED")),
                fields=("withdrawal",),
                name="withdrawal_decision_one_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawaldecision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "APPLIED"), ("step__in", ["confirm", "release"])),
                fields=("withdrawal",),
                name="withdrawal_decision_ends_once",
            ),
        ),
        migrations.AddIndex(
            model_name="lateword",
            index=models.Index(
                condition=models.Q(("state", "OPEN")), fields=["heard_at"], name="late_word_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="lateword",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("answer__isnull", True), ("state", "OPEN")),
                    models.Q(("answer__isnull", False), ("state", "ANSWERED")),
                    _connector="OR",
                ),
                name="late_word_answered_by_something",
            ),
        ),
        migrations.RunSQL(KEEP, KEEP_NO_MORE),
    ]

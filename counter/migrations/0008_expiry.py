"""Options end: expiries with their settlement index, recorded or entered by two people, and each step of an option."""

from decimal import Decimal

import django.db.models.deletion
import django_fsm
from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

KEEP = """
    CREATE FUNCTION counter_indexentry_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.state = 'REQUESTED' AND NEW.state <> 'REQUESTED'
            AND (NEW.id, NEW.expiry_id, NEW.price, NEW.reason, NEW.evidence, NEW.requested_by_id, NEW.requested_by,
                 NEW.requested_at)
              = (OLD.id, OLD.expiry_id, OLD.price, OLD.reason, OLD.evidence, OLD.requested_by_id, OLD.requested_by,
                 OLD.requested_at)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'counter_indexentry keeps what was asked and decided' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER counter_indexentry_kept BEFORE UPDATE OR DELETE ON counter_indexentry
        FOR EACH ROW EXECUTE FUNCTION counter_indexentry_kept();
"""
KEEP_NO_MORE = """
    DROP TRIGGER counter_indexentry_kept ON counter_indexentry;
    DROP FUNCTION counter_indexentry_kept();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("counter", "0007_exposure"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="option",
            options={"permissions": [("halt_option", "Can halt a series and have it resumed")]},
        ),
        migrations.CreateModel(
            name="Expiry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8)),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("WAITING", "Waiting"),
                            ("EXERCISING", "Exercising"),
                            ("SETTLED", "Settled"),
                        ],
                        default="WAITING",
                        max_length=12,
                    ),
                ),
                ("why", models.TextField(blank=True)),
                ("exercised", models.IntegerField(default=0)),
                ("worthless", models.IntegerField(default=0)),
                ("left_to_fill", models.IntegerField(default=0)),
                ("paid_at_once", models.DecimalField(decimal_places=6, default=Decimal("0"), max_digits=20)),
                ("taken_at", models.DateTimeField()),
                ("indexed_at", models.DateTimeField(null=True)),
                ("settled_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "expiries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "SETTLED"), _negated=True),
                        fields=["expires_at"],
                        name="expiry_unsettled",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("underlying", "expires_at"), name="expiry_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="IndexEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("price", models.DecimalField(decimal_places=8, max_digits=20)),
                ("reason", models.TextField()),
                ("evidence", models.TextField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("REQUESTED", "Requested"),
                            ("APPLIED", "Applied"),
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
                (
                    "expiry",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="counter.expiry"),
                ),
            ],
            options={
                "verbose_name_plural": "index entries",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "APPLIED"), _negated=True),
                            models.Q(("decided_by_id", models.F("requested_by_id")), _negated=True),
                            _connector="OR",
                        ),
                        name="index_entry_maker_is_not_checker",
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
                        name="index_entry_decided_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True), models.Q(("evidence", ""), _negated=True)
                        ),
                        name="index_entry_says_why",
                    ),
                    models.CheckConstraint(condition=models.Q(("price__gt", 0)), name="index_entry_positive"),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "REQUESTED")),
                        fields=("expiry",),
                        name="index_entry_one_waiting",
                    ),
                ],
                "permissions": [
                    ("enter_index", "Can request a settlement index where the record has a gap"),
                    (
                        "approve_indexentry",
                        "Can approve and reject a settlement index that somebody else requested",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OptionChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("from_state", models.CharField(max_length=8)),
                ("to_state", models.CharField(max_length=8)),
                ("why", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=150)),
                (
                    "option",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="counter.option"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SettlementIndex",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("underlying", models.CharField(max_length=8)),
                ("expires_at", models.DateTimeField()),
                ("price", models.DecimalField(decimal_places=8, max_digits=20)),
                ("samples", models.IntegerField()),
                ("minutes", models.IntegerField()),
                ("largest_gap_seconds", models.DecimalField(decimal_places=3, max_digits=9)),
                ("first_at", models.DateTimeField(null=True)),
                ("last_at", models.DateTimeField(null=True)),
                ("recorded_at", models.DateTimeField()),
                (
                    "entry",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="counter.indexentry"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "settlement indexes",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("underlying", "expires_at"), name="settlement_index_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("price__gt", 0)), name="settlement_index_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("entry__isnull", False), ("samples__gt", 0), _connector="OR"),
                        name="settlement_index_of_something",
                    ),
                ],
            },
        ),
        append_only("counter_settlementindex"),
        never_emptied("counter_settlementindex"),
        append_only("counter_optionchange"),
        never_emptied("counter_optionchange"),
        migrations.RunSQL(KEEP, KEEP_NO_MORE),
    ]

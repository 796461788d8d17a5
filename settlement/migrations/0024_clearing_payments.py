"""Payments of clearing that two people approve; cash that they leave at the desk."""

import django_fsm
from django.db import migrations, models

KEEP = """
    CREATE FUNCTION settlement_clearingpayment_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.state IN ('REQUESTED', 'APPROVED')
            AND (NEW.id, NEW.asset, NEW.direction, NEW.amount, NEW.reference, NEW.reason, NEW.requested_by_id,
                 NEW.requested_by, NEW.requested_at)
              = (OLD.id, OLD.asset, OLD.direction, OLD.amount, OLD.reference, OLD.reason, OLD.requested_by_id,
                 OLD.requested_by, OLD.requested_at)
            AND (OLD.state = 'REQUESTED' OR (NEW.decided_by_id, NEW.decided_by, NEW.decided_at, NEW.decision)
                 = (OLD.decided_by_id, OLD.decided_by, OLD.decided_at, OLD.decision))
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'settlement_clearingpayment keeps what was asked and decided'
            USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER settlement_clearingpayment_kept BEFORE UPDATE OR DELETE ON settlement_clearingpayment
        FOR EACH ROW EXECUTE FUNCTION settlement_clearingpayment_kept();
"""
KEEP_NO_MORE = """
    DROP TRIGGER settlement_clearingpayment_kept ON settlement_clearingpayment;
    DROP FUNCTION settlement_clearingpayment_kept();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0023_rounds_in_flight"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            name="reconciliationbreak",
            options={
                "permissions": [
                    ("own_reconciliationbreak", "Can take a reconciliation break into their own hands"),
                    (
                        "write_off_reconciliationbreak",
                        "Can request that a reconciliation break is written off to suspense",
                    ),
                    (
                        "book_capital_reconciliationbreak",
                        "Can request that a reconciliation break is booked as the desk's capital",
                    ),
                    (
                        "book_cash_reconciliationbreak",
                        "Can request that a reconciliation break is booked as cash brought in or taken out",
                    ),
                    ("run_reconciliation", "Can have everything reconciled at once"),
                ],
                "verbose_name": "reconciliation break",
            },
        ),
        migrations.AddField(
            model_name="desktransfer",
            name="clearing_payment_id",
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
                    ("break", "Break"),
                    ("accepted_order", "Order"),
                    ("venue_halt", "Halt"),
                    ("clearing_payment", "Clearing Payment"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="kind",
            field=models.CharField(
                choices=[
                    ("retry", "Retry"),
                    ("take_over", "Take Over"),
                    ("book_by_hand", "Book By Hand"),
                    ("release", "Release"),
                    ("write_off", "Write Off"),
                    ("book_capital", "Book Capital"),
                    ("book_cash", "Book Cash"),
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
        migrations.AlterField(
            model_name="batch",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                    ("break", "Break"),
                    ("accepted_order", "Order"),
                    ("venue_halt", "Halt"),
                    ("clearing_payment", "Clearing Payment"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="intervention",
            name="kind",
            field=models.CharField(
                choices=[
                    ("retry", "Retry"),
                    ("take_over", "Take Over"),
                    ("book_by_hand", "Book By Hand"),
                    ("release", "Release"),
                    ("write_off", "Write Off"),
                    ("book_capital", "Book Capital"),
                    ("book_cash", "Book Cash"),
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
        migrations.AlterField(
            model_name="intervention",
            name="subject",
            field=models.CharField(
                choices=[
                    ("conversion", "Conversion"),
                    ("funds_transfer", "Funds Transfer"),
                    ("conflict", "Conflict"),
                    ("intervention", "Intervention"),
                    ("break", "Break"),
                    ("accepted_order", "Order"),
                    ("venue_halt", "Halt"),
                    ("clearing_payment", "Clearing Payment"),
                ],
                max_length=16,
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
                    ("break", "Break"),
                    ("accepted_order", "Order"),
                    ("venue_halt", "Halt"),
                    ("clearing_payment", "Clearing Payment"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="ClearingPayment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("requested_by_id", models.BigIntegerField()),
                ("requested_by", models.CharField(max_length=150)),
                ("requested_at", models.DateTimeField()),
                ("decided_by_id", models.BigIntegerField(null=True)),
                ("decided_by", models.CharField(blank=True, max_length=150)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision", models.TextField(blank=True)),
                ("asset", models.CharField(max_length=64)),
                (
                    "direction",
                    models.CharField(
                        choices=[
                            ("to_desk", "counter pays the desk"),
                            ("to_counter", "the desk pays counter"),
                        ],
                        max_length=10,
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=6, max_digits=20)),
                ("reference", models.CharField(max_length=64)),
                ("reason", models.TextField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("REQUESTED", "Requested"),
                            ("APPROVED", "Approved"),
                            ("BOOKED", "Booked"),
                            ("REFUSED", "Refused"),
                            ("REJECTED", "Rejected"),
                        ],
                        default="REQUESTED",
                        max_length=12,
                        protected=True,
                    ),
                ),
                ("version", models.IntegerField(default=0)),
                ("answer", models.TextField(blank=True)),
                ("booked_at", models.DateTimeField(null=True)),
            ],
            options={
                "permissions": [
                    ("pay_clearing", "Can request that a payment between counter and the desk is booked"),
                    (
                        "approve_clearingpayment",
                        "Can approve and reject a payment that somebody else requested",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0)), name="clearing_payment_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["REQUESTED", "REJECTED"]),
                            models.Q(("decided_by_id", models.F("requested_by_id")), _negated=True),
                            _connector="OR",
                        ),
                        name="clearing_payment_maker_is_not_checker",
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
                        name="clearing_payment_decided_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True),
                            models.Q(("reference", ""), _negated=True),
                        ),
                        name="clearing_payment_says_why",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("booked_at__isnull", False), ("state", "BOOKED")),
                            models.Q(
                                models.Q(("state", "BOOKED"), _negated=True), ("booked_at__isnull", True)
                            ),
                            _connector="OR",
                        ),
                        name="clearing_payment_booked_at",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["REQUESTED", "APPROVED", "BOOKED"])),
                        fields=("reference",),
                        name="clearing_payment_reference_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["REQUESTED", "APPROVED"])),
                        fields=("asset",),
                        name="clearing_payment_one_open_by_asset",
                    ),
                ],
            },
        ),
        migrations.RunSQL(KEEP, KEEP_NO_MORE),
    ]

"""Breaks that two people accept or correct; the hold of a restored desk that they end."""

from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0018_one_halt_each"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            name="intervention",
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
                    (
                        "disown_acceptedorder",
                        "Can request that an order which counter never placed is disowned",
                    ),
                    (
                        "retry_reconciliationbreak",
                        "Can have an order that the desk lacks taken in from counter",
                    ),
                    (
                        "accept_reconciliationbreak",
                        "Can request that a fill and its trade are accepted as they differ",
                    ),
                    (
                        "end_hold_venuehalt",
                        "Can request that a restored desk goes on without what cannot be proven",
                    ),
                    ("approve_intervention", "Can approve and reject what somebody else requested"),
                ]
            },
        ),
        migrations.AddField(
            model_name="reconciliationbreak",
            name="accepted_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="reconciliationbreak",
            name="corrected",
            field=models.DecimalField(db_default=0, decimal_places=8, default=Decimal("0"), max_digits=28),
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
                ],
                max_length=16,
            ),
        ),
    ]

"""Breaks may be booked as the desk's capital: choices and a permission, nothing of a table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0009_reconciliation"),
    ]

    operations = [
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
                    ("run_reconciliation", "Can have everything reconciled at once"),
                ],
                "verbose_name": "reconciliation break",
            },
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
                ],
                max_length=16,
            ),
        ),
    ]

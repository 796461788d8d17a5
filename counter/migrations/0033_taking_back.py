"""Stops that are taken back by the person who threw them, and requests to let trading go on."""

from django.db import migrations, models

from ledger.triggers import append_only, never_emptied

CHANGE = "counter.tradingswitchchange"


class Migration(migrations.Migration):
    dependencies = [("counter", "0032_size")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="tradingswitchchange",
            name="takes_back",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=models.deletion.PROTECT,
                related_name="taken_back_by",
                to=CHANGE,
            ),
        ),
        migrations.CreateModel(
            name="ResumeRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("by", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                (
                    "change",
                    models.ForeignKey(
                        on_delete=models.deletion.PROTECT, related_name="resume_requests", to=CHANGE
                    ),
                ),
            ],
            options={
                "verbose_name": "request to resume trading",
                "verbose_name_plural": "requests to resume trading",
                "constraints": [
                    models.UniqueConstraint(fields=("change", "by"), name="asked_once_by_each_person")
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="tradingswitch",
            options={
                "verbose_name": "kill switch",
                "verbose_name_plural": "kill switches",
                "permissions": [
                    ("stop_trading", "Can stop trading"),
                    ("approve_resume_trading", "Can have trading go on"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="tradingswitchchange",
            options={
                "verbose_name": "throw of a kill switch",
                "verbose_name_plural": "kill switches thrown",
            },
        ),
        append_only("counter_resumerequest"),
        never_emptied("counter_resumerequest"),
    ]

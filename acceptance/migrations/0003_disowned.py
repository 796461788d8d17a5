"""Orders that counter never placed can be disowned."""

import django_fsm
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("acceptance", "0002_growth")]

    operations = [
        migrations.AlterField(
            model_name="acceptedorder",
            name="state",
            field=django_fsm.FSMField(
                choices=[
                    ("RECEIVED", "Received"),
                    ("CONVERTING", "Converting"),
                    ("SETTLED", "Settled"),
                    ("REPORTED", "Reported"),
                    ("DISOWNED", "Disowned"),
                ],
                default="RECEIVED",
                max_length=12,
            ),
        ),
    ]

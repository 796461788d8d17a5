"""The venue's statement of a day under one name; its table keeps the first one, so that the release before finds it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("settlement", "0028_venue_days")]

    operations = [
        # The name that it has: then the rename of the model leaves the table alone.
        migrations.AlterModelTable(name="venueday", table="settlement_venueday"),
        migrations.RenameModel(old_name="VenueDay", new_name="VenueStatement"),
        migrations.AlterField(
            model_name="venuestatement",
            name="outcome",
            field=models.CharField(
                choices=[("TOLD", "told"), ("SILENT", "did not answer"), ("GONE", "no longer available")],
                max_length=6,
            ),
        ),
    ]

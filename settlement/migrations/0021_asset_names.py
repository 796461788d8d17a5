"""Assets by the names that a venue gives them: a token that it credits may have more than eight characters."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0020_batches"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="deskaccount",
            name="asset",
            field=models.CharField(max_length=64),
        ),
        migrations.AlterField(
            model_name="desktransfer",
            name="asset",
            field=models.CharField(max_length=64),
        ),
        migrations.AlterField(
            model_name="fill",
            name="fee_asset",
            field=models.CharField(max_length=64),
        ),
        migrations.AlterField(
            model_name="fundstransfer",
            name="asset",
            field=models.CharField(max_length=64),
        ),
        migrations.AlterField(
            model_name="latefee",
            name="asset",
            field=models.CharField(max_length=64),
        ),
        migrations.AlterField(
            model_name="reconciliationbreak",
            name="asset",
            field=models.CharField(blank=True, max_length=64),
        ),
    ]

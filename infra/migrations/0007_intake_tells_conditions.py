"""Counter hears how the desk stands from intake itself, past the queues: beat's sweep for it goes."""

from django.db import migrations


def remove(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(
        task="settlement.tell_conditions"
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0006_expire")]

    operations = [migrations.RunPython(remove, migrations.RunPython.noop)]

"""Nothing any more: schedules are made after migrations, by `config.schedules`."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("cockpit", "0001_figures"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

"""Nothing any more: schedules are made after migrations, by `config.schedules`."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("config", "0001_schedules")]

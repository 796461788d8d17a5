"""The roles of staff: viewer, operator, approver."""

from django.db import migrations

from infra.admin import roles


def make(apps, schema_editor):
    using = schema_editor.connection.alias
    roles.make_permissions(using=using)
    roles.fill(using=using)


class Migration(migrations.Migration):
    dependencies = [
        ("config", "0003_leases_and_canaries"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]

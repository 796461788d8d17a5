from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("settlement", "0011_interventions_never_emptied")]

    operations = [migrations.AlterModelOptions(name="carry", options={"verbose_name_plural": "carries"})]

"""What lost most of a day against the price at sending, by an index of what lost."""

from django.db import migrations

GAINED = "CASE side WHEN 'buy' THEN sent_price * coin - usdt ELSE usdt - sent_price * coin END"
ADD = f"""
    CREATE INDEX CONCURRENTLY execution_lost
    ON settlement_execution (((minute AT TIME ZONE 'UTC')::date), ({GAINED})) WHERE ({GAINED}) < 0
"""
DROP = "DROP INDEX CONCURRENTLY IF EXISTS execution_lost"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("settlement", "0026_execution_days")]

    # What an interrupted migration left is invalid and would be in the way.
    operations = [migrations.RunSQL(DROP, migrations.RunSQL.noop), migrations.RunSQL(ADD, DROP)]

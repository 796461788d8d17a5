"""Sums of executions by day (UTC) and coin, kept by triggers, with what there is already.

A trigger holds for the release before, too, whose worker measures while this one is rolled out. Until all is added up
(700,000 executions: 3 s) that worker alone waits; readers of executions do not wait, and orders write none.
"""

from django.db import migrations, models

BENCHMARKS = {"order": "order_price", "sent": "sent_price", "minute": "minute_price"}
SUMS = (
    *("conversions", "awaited", "coin", "usdt"),
    *(f"{name}_{what}" for name in BENCHMARKS for what in ("count", "gain", "notional")),
)
MEASURED = """
    coalesce(sum(sign) FILTER (WHERE {0} IS NOT NULL), 0),
    coalesce(sum(sign * CASE side WHEN 'buy' THEN {0} * coin - usdt ELSE usdt - {0} * coin END), 0),
    coalesce(sum(sign * {0} * coin), 0)
"""
# What is written in order of its key, so that two who write wait for each other in one order.
ADD = f"""
    INSERT INTO settlement_executionday AS d (day, underlying, {", ".join(SUMS)})
    SELECT (minute AT TIME ZONE 'UTC')::date, underlying, sum(sign),
           coalesce(sum(sign) FILTER (WHERE answer = 'AWAITED'), 0), sum(sign * coin), sum(sign * usdt),
           {", ".join(MEASURED.format(column) for column in BENCHMARKS.values())}
    FROM ({{changed}}) AS changed GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (day, underlying) DO UPDATE SET {", ".join(f"{each} = d.{each} + excluded.{each}" for each in SUMS)}
"""  # noqa: S608
ADDED, REMOVED = "SELECT 1 AS sign, * FROM added", "SELECT -1, * FROM removed"
# Of each event: what it tells its trigger, and what has changed by it.
EVENTS = {
    "INSERT": ("NEW TABLE AS added", ADDED),
    "UPDATE": ("OLD TABLE AS removed NEW TABLE AS added", f"{ADDED} UNION ALL {REMOVED}"),
    "DELETE": ("OLD TABLE AS removed", REMOVED.replace("-1,", "-1 AS sign,")),
}


def _name(event: str) -> str:
    return f"settlement_execution_day_{event.lower()}"


def _trigger(event: str, tables: str, changed: str) -> str:
    name = _name(event)
    return f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {ADD.format(changed=changed)};
            RETURN NULL;
        END $$;
        CREATE TRIGGER {name} AFTER {event} ON settlement_execution REFERENCING {tables}
            FOR EACH STATEMENT EXECUTE FUNCTION {name}();
    """


CREATE = "".join(_trigger(event, *of) for event, of in EVENTS.items())
DROP = "".join(
    f"DROP TRIGGER {_name(event)} ON settlement_execution; DROP FUNCTION {_name(event)}();"
    for event in EVENTS
)
FILL = ADD.format(changed="SELECT 1 AS sign, * FROM settlement_execution")


def _sum(digits: int) -> models.DecimalField:
    return models.DecimalField(decimal_places=digits, max_digits=32 + digits)


class Migration(migrations.Migration):
    dependencies = [("settlement", "0025_executions")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="ExecutionDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("underlying", models.CharField(max_length=8)),
                ("conversions", models.BigIntegerField()),
                ("awaited", models.BigIntegerField()),
                ("coin", _sum(8)),
                ("usdt", _sum(8)),
                ("order_count", models.BigIntegerField()),
                ("order_gain", _sum(16)),
                ("order_notional", _sum(16)),
                ("sent_count", models.BigIntegerField()),
                ("sent_gain", _sum(16)),
                ("sent_notional", _sum(16)),
                ("minute_count", models.BigIntegerField()),
                ("minute_gain", _sum(16)),
                ("minute_notional", _sum(16)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("day", "underlying"), name="execution_day_once")
                ]
            },
        ),
        # The table is locked against writers from here on, so that each row is added once: here, or by a trigger.
        migrations.RunSQL(CREATE, DROP),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]

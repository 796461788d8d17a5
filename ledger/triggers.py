"""The database itself refuses to change or delete history."""

from django.db import migrations


def append_only(table: str) -> migrations.RunSQL:
    """Migration operation: UPDATE and DELETE on `table` raise, for every role."""
    name = f"{table}_append_only"
    return migrations.RunSQL(
        sql=f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'restrict_violation';
            END $$;
            CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION {name}();
        """,
        reverse_sql=f"DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}();",
    )


def never_emptied(table: str) -> migrations.RunSQL:
    """Migration operation: TRUNCATE of an `append_only` table raises too, which no row's trigger would see."""
    name = f"{table}_never_emptied"
    return migrations.RunSQL(
        sql=f"""
            CREATE TRIGGER {name} BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only();
        """,
        reverse_sql=f"DROP TRIGGER {name} ON {table};",
    )

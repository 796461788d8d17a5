"""Snapshots: how queries of whole tables are planned, and that the others are planned as always."""

import pytest

from infra.db.snapshots import snapshot

pytestmark = pytest.mark.django_db(databases=["default", "desk"], transaction=True)
SETTING = "SELECT current_setting('enable_nestloop')"


def test_whole_tables_are_never_joined_row_by_row_though_nobody_has_counted_them():
    """The audit of a system in its first minutes took six, by a plan for tables that were empty a moment before."""
    with snapshot("desk") as desk:
        assert desk.rows_of_whole_tables(SETTING) == [("off",)]
        assert desk.rows(SETTING) == [("on",)]
    with snapshot("desk") as desk:
        assert desk.rows(SETTING) == [("on",)]

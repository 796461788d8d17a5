"""PostgreSQL: cheap rows, statements that travel together, bulk transitions, snapshots."""

"""Pages of the admin that look and do not change, and the roles of staff."""

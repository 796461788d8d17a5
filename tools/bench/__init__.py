"""`make bench`: Crossbook beside what one would otherwise use, in one run on one PostgreSQL server."""

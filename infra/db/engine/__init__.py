"""Django's PostgreSQL backend with what a failover asks of it (`ENGINE`)."""

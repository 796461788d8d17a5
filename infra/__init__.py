"""What any service of Django, Celery and PostgreSQL would need; it knows nothing of orders."""

"""django-hordak, the double-entry bookkeeping that Django projects usually take, posting one transaction an order."""

"""What customers and series are allowed, and what of it is used."""

"""Server-sent events: prices and the customer's own changes, told by a program of its own."""

"""What the product never imports: it starts the product, plays its venue, loads and breaks it."""

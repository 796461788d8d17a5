"""What is for sale and at which price: series, their quotes, and prices that are promised."""

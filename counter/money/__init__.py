"""Customers' money: accounts, what comes in and goes out, and what they are told of it."""

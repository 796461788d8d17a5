"""The desk's chart of accounts and the legs that are booked in it."""

"""Pure arithmetic: what crosses, what goes to the venue, and each order's exact share."""

"""What staff's programs read: risk, balances and the closed days, by staff's own keys."""

"""From orders to what the venue did for them: rounds, sending, outcomes, booking, the sweep."""

"""What the desk tells counter: settlements and conditions."""

"""What the desk's conversions gained or lost while a recorded market ran, by cause, beside two other ways to hedge."""

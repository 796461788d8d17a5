"""Who may ask: keys, signatures that count once, and how fast."""

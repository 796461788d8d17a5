"""The end of options: their index, and what becomes of their positions."""

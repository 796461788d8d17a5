"""Large files that staff take from the web program: how long each takes, and what memory the program has meanwhile."""

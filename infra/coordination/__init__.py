"""One clock, one leader, one worker at a time: what the database decides for all processes."""

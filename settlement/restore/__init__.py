"""A desk that was restored from a backup: held, until what it has forgotten is entered again."""

"""What is measured: the timed figures, which are no tests."""

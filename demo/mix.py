"""What the customers do, as shares of their orders; the demo's load and the bench's draw by the same."""

CLOSE_SHARE = 0.35
AT_FILL_SHARE = 0.25  # of the closes

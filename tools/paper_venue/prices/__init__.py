"""Where the venue's prices come from: a random walk, or a recording played again.

A source is driven by the time it is handed and never reads a clock, so the same seed and the same times give the same
prices.
"""

"""The trade page: what customers see in a browser, in front of counter's own operations.

It stands beside the cockpit and above counter; it knows nothing of the desk, and nobody imports it.
"""

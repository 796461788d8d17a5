"""The journeys of a browser share what conftest.py starts until the last of them ends."""

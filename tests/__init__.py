"""Tests, by what they go through: units, the real parts together, journeys of people, faults and restarts."""

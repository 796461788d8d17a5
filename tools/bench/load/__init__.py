"""The load: customers' requests over HTTP from a process of its own, built before the clock starts."""

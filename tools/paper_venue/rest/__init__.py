"""The HTTP face of the venue: routes, parameters, answers."""

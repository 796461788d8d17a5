"""Whether and how far a coin is traded: watched, limited, and stopped by people."""

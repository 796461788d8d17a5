"""The pages on which staff do something; `counter.admin` registers them."""

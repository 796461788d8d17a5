"""Orders: decided in batches, committed by the order queue, told to the desk, settled by its reports."""

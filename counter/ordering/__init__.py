"""Orders: decided in batches, committed by the gate, told to the desk, settled by its reports."""

"""What people do, from one end of the system to the other."""

"""Calls to other hosts: bounded in time, signed, and stopped while a host refuses us."""

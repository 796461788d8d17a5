"""The cockpit: what the people who run both systems see of them, and what their monitoring reads.

It stands above both systems, as the audit does, and nobody imports it but doors.
"""

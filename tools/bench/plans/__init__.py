"""How every statement of the real operations is executed on tables of millions: by an index, or the whole table?

    python -m tools.bench.plans [--orders 5000000]

runs the operations on the databases of the environment, filled up to so many finished orders first, and exits with 1
when a large table is read whole by anything but the audit, or when many rows are read to find few.
"""

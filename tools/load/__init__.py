"""What customers' programs do, for demo, chaos and bench: the orders, and who sends them.

`mix` makes the orders of all three. `customers` sends them for demo and chaos, and heeds the answers: what has no clear
one is sent again, what was accepted is closed later. The bench measures answers and nothing else, so it sends bytes
that were made before its clock starts, from a process of its own: `tools.bench.load`.
"""

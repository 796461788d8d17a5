"""What tests share: customers, options and quotes (`factories`), a real venue (`venue`), the way of an order (`desk`).

Fixtures (`fixtures`, loaded by conftest.py):

    paper_venue   the paper venue as a process, one a worker, with its control endpoints (faults, prices, state)
    venue         a CcxtVenue on a fresh, funded account of it: no trades of other tests, no faults left behind
    two_systems   both databases, transactional, with the broker up and the desk's books opened at `venue`
    written_history  those two after `history.write_history`, whose rows are put back where `venue` is as it left it

A test of the whole way:

    def test_...(two_systems, venue):
        option = make_option()
        customer = make_customer(balance="1000")
        order = place_open(customer, option, contracts=2)     # counter.orders.placing.place_orders, must be accepted
        run_desk(venue)                                       # ingest, acknowledge, convert, balance, report

`history.write_history(venue)` leaves a little past of all kinds of orders, `synthetic.write_past(orders=...)` a long
one in seconds; `kept_rows.once(make)` makes rows that many tests begin with once in a process, and puts them back for
the others; `tampering.tampered(...)` breaks a table on purpose and mends it, append-only or not.
"""

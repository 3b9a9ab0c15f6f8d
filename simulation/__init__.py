"""A simulation of failing endpoints on a virtual clock, with the real router and models of other balancers.

`python -m simulation` and `make simulate` print the table.
"""

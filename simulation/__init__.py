"""A simulation of endpoints that fail, on a virtual clock: the real router beside models of what others do.

`python -m simulation` prints the table; `make simulate` does the same.
"""

"""Dumps of other systems: what they hold, read into our own records and rows, and what of it is refused.

Here stands who says what in a dump, and why something stays out. Nothing here decides about access: what it makes are
the records and the rows that the operations of ``gateway.manage`` would make.
"""

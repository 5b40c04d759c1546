"""Accounts of platforms that people connected: how they come to be, whose they are, how they stay usable."""

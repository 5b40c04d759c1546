"""Tools written in Python: packages that are installed beside the gateway and say so by an entry point."""

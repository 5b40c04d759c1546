"""Several workers as one gateway: names of who holds what, a roster of who lives, and requests handed over."""

"""Looking at a policy as a whole: what its text says, what it gives to whom, and what another one would change.

On this floor stands what several rooms need, and what needs no room. It must not know the rooms ``lint``, ``cases``,
``plan`` and ``replay``, and they not each other.
"""

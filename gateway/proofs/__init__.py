"""Signed tokens that say who somebody is: of the operator's issuers, of a server's own signers, and of our own key."""

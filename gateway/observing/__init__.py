"""What an operator sees of a running gateway: numbers, and whether it is well."""

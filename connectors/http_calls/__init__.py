"""HTTP requests that tools made at run time describe: read, filled, sent through the egress, told as results."""

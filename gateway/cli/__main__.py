"""``python -m gateway.cli`` is ``ostiary``."""

from gateway.cli import main

main()

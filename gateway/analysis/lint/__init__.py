"""Lint: what in a valid policy is worth a look, one file for each sort of finding.

Here belongs what judges rows, roles and conditions by themselves. It must not know parties, cells and rights: whom a
row reaches in the end is for plans.
"""

from gateway.analysis.lint.findings import Code, Finding, Lint
from gateway.analysis.lint.linting import lint

__all__ = ["Code", "Finding", "Lint", "lint"]

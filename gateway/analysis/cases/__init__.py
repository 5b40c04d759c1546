"""The policy's own tests: what they say, how their files are read, and what comes of a run.

Here belongs only what those tests need. It must not know how anything else judges a policy (lint, plans, replay), nor
where texts and inventories come from.
"""

from gateway.analysis.cases.grants import broken_by, touched_by
from gateway.analysis.cases.reading import read_cases
from gateway.analysis.cases.results import Result, Results
from gateway.analysis.cases.running import run
from gateway.analysis.cases.terms import Cases

__all__ = ["Cases", "Result", "Results", "broken_by", "read_cases", "run", "touched_by"]

"""The plan: how effective rights change from one policy to another, found, grouped and told.

Here belongs what is about two policies. What one policy gives stands beside this room (``who.py``, ``rights.py``), and
it must not know how the rows of two bundles differ as text (``changes.py``).
"""

from gateway.analysis.plan.groups import Plan
from gateway.analysis.plan.planning import plan

__all__ = ["Plan", "plan"]

"""The one door: what every MCP request, and everything administrative, passes before it is done."""

from gateway.manage.asking import Operation
from gateway.pipeline.arriving import Arrival
from gateway.pipeline.door import Pipeline
from gateway.pipeline.passage import Aside, Origin

__all__ = ["Arrival", "Aside", "Operation", "Origin", "Pipeline"]

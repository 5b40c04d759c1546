"""The one door: what every MCP request passes between its bytes and the server behind us."""

from gateway.pipeline.door import Pipeline
from gateway.pipeline.passage import Origin

__all__ = ["Origin", "Pipeline"]

"""Tools that users made, as others see them: the item of a list, and the definition as its maker writes it. Pure."""

from typing import Final

from gateway.mcp.terms import Params
from gateway.records import CustomTool

READS, DESTROYS, REPEATS, OPEN = "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"
HINTS: Final = (READS, DESTROYS, REPEATS, OPEN)


def definition(tool: CustomTool, public: str, *, reads: bool, destructive: bool, open_world: bool) -> Params:
    """The item of ``tools/list`` under the name ``public``. What is known of the tool that it calls comes from whoever
    knows that; what its maker says of it can make it look more dangerous, and never less: clients act by these hints.
    """
    said = tool.annotations
    reads = reads and said.get(READS) is not False
    hints: Params = {
        READS: reads,
        DESTROYS: not reads and (destructive or said.get(DESTROYS) is True),
        REPEATS: said.get(REPEATS) is True,
        OPEN: open_world or said.get(OPEN) is True,
    }
    item: Params = {"name": public, "inputSchema": tool.schema, "annotations": hints}
    if title := titled(tool):
        item["title"] = title
    return {**item, "description": tool.description} if tool.description else item


def titled(tool: CustomTool) -> str:
    """The title that people read; ``""`` where it has none."""
    title = tool.title or tool.annotations.get("title", "")
    return title if isinstance(title, str) else ""


def document(tool: CustomTool) -> Params:
    """The definition from which the very same tool would be read again; of its maker nothing is said."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.schema,
        "annotations": tool.annotations,
        "handler": {"type": tool.handler.type, "config": tool.handler.config},
        "alwaysVisible": tool.always_visible,
    }

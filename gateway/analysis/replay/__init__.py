"""Replay: recorded decisions put to another policy, with what the audit hides left hidden.

Here belongs what starts from recorded entries. It must not know an inventory or anybody's rights: what was never asked
cannot be replayed.
"""

from gateway.analysis.replay.hidden import Digest
from gateway.analysis.replay.replaying import NO_ROW, Change, Group, Replay, Report, Why, summed

__all__ = ["NO_ROW", "Change", "Digest", "Group", "Replay", "Report", "Why", "summed"]

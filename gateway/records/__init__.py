"""What the store keeps about people, keys, grants, policies, pins, connections and what users made: frozen records,
no behaviour.

``rev`` is the number that compare-and-set checks (0 = never stored); ``at`` values and expiries
are milliseconds since the epoch. Nothing here holds a readable secret.
"""

from gateway.records.audit import Checkpoint
from gateway.records.connections import Connected, Flow, Registration, Stage, Status
from gateway.records.limits import Tally
from gateway.records.made import CustomPrompt, CustomTool, Handler, PromptArgument, PromptMessage
from gateway.records.people import ApiKey, EndUser, MailedCode, SignIn, User
from gateway.records.policies import CaseCounts, Grant, PolicyHead, RightsChange, ShadowHead
from gateway.records.servers import Listing, Mode, Permission, Restrictions, Server, Signer, Token
from gateway.records.upstreams import Approved, Pins, Waiting
from gateway.records.workers import Worker

__all__ = [
    "ApiKey",
    "Approved",
    "CaseCounts",
    "Checkpoint",
    "Connected",
    "CustomPrompt",
    "CustomTool",
    "EndUser",
    "Flow",
    "Grant",
    "Handler",
    "Listing",
    "MailedCode",
    "Mode",
    "Permission",
    "Pins",
    "PolicyHead",
    "PromptArgument",
    "PromptMessage",
    "Registration",
    "Restrictions",
    "RightsChange",
    "Server",
    "ShadowHead",
    "SignIn",
    "Signer",
    "Stage",
    "Status",
    "Tally",
    "Token",
    "User",
    "Waiting",
    "Worker",
]

"""MCP servers that users offer: what they mean for the policy, and which there are. Pure; no store, no clock."""

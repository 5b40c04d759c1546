"""The gateway's own tools: administration as clients see it. Each calls one function of ``gateway/manage``."""

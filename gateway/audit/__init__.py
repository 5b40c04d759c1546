"""The audit: one entry per call, what it may show, and how it is kept."""

from gateway.audit.entry import AuditEntry

__all__ = ["AuditEntry"]

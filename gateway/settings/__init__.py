"""What the operator sets: ``config/*.toml`` and the environment as frozen ``Settings``.

Secrets stand there by reference only, and are read into ``Secret`` once, at load.
"""

from gateway.settings.load import load
from gateway.settings.terms import (
    AuditSettings,
    MasterSecret,
    Mode,
    Names,
    ServerMode,
    ServerSpec,
    Settings,
    SettingsError,
    StoreSettings,
)

__all__ = [
    "AuditSettings",
    "MasterSecret",
    "Mode",
    "Names",
    "ServerMode",
    "ServerSpec",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "load",
]

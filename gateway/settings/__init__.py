"""What the operator sets: ``config/*.toml`` and the environment as frozen ``Settings``.

Secrets stand there by reference only, and are read into ``Secret`` once, at load.
"""

from gateway.settings.load import load
from gateway.settings.terms import (
    AuditSettings,
    Binding,
    ConnectionSettings,
    ConnectorSettings,
    HandlerSettings,
    HttpSettings,
    LimitSettings,
    MailSettings,
    MasterSecret,
    MetricsSettings,
    Mode,
    Names,
    NodeSettings,
    OidcSettings,
    ServerMode,
    ServerSpec,
    Settings,
    SettingsError,
    StoreSettings,
    Tools,
    Unsure,
)

__all__ = [
    "AuditSettings",
    "Binding",
    "ConnectionSettings",
    "ConnectorSettings",
    "HandlerSettings",
    "HttpSettings",
    "LimitSettings",
    "MailSettings",
    "MasterSecret",
    "MetricsSettings",
    "Mode",
    "Names",
    "NodeSettings",
    "OidcSettings",
    "ServerMode",
    "ServerSpec",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "Tools",
    "Unsure",
    "load",
]

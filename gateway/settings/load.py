"""From a config folder and the environment to ``Settings``, or to every problem at once.

Here stand the settings by name, their defaults, and what production demands (architecture.md §8).
"""

import ipaddress
import os
import secrets as randomness
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from connectors.base import Secret
from connectors.packages.finding import package_names
from gateway.identity import normal_email
from gateway.policy.signature import TrustedKey, read_public
from gateway.policy.terms import Place, Problem
from gateway.settings import single
from gateway.settings.connectors import read_connectors
from gateway.settings.issuers import read_issuers
from gateway.settings.limits import read_address_limits
from gateway.settings.mail import read_mail
from gateway.settings.metrics import read_metrics
from gateway.settings.terms import (
    AuditSettings,
    MasterSecret,
    Mode,
    NodeSettings,
    Settings,
    SettingsError,
    StoreSettings,
)
from gateway.settings.tools import omitted, read_tools
from gateway.settings.upstreams import read_servers, read_upstreams
from gateway.settings.values import References, Table, read_secret, suggestion

T = TypeVar("T")

DEFAULT_ADMIN: Final = "admin@example.com"
LEAST_SECRET_LENGTH: Final = 32
MOST_KEY_BYTES: Final = 4096
FILES: Final = ("ostiary.toml", "upstreams.toml", "connectors.toml", "servers.toml", "tools.toml")


def load(folder: Path, environ: Mapping[str, str]) -> Settings:
    """What the files of ``folder`` (``FILES``) and ``environ`` set.

    In development without a secret, one is made in the state folder and used from then on. Raises
    ``SettingsError`` with every problem there is.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        sentence = "there is no such folder; `ostiary init DIR` writes one with commented samples"
        raise SettingsError([Problem(Place(folder.name), sentence)])
    return _Loading(folder, environ).settings()


class _Loading:
    """One reading of the folder; ``problems`` and ``notes`` gather on the way."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder, self.root = folder, folder.parent
        self.environ = environ
        self.references = References(self.root, environ)
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def settings(self) -> Settings:
        top = self._file("ostiary.toml", required=True)
        server, store, policy = top.table("server"), top.table("store"), top.table("policy")
        admin = top.table("admin")
        host, port = self._bind(server)
        mode = self._mode(server, host)
        store_settings = self._store(store)
        upstreams = read_upstreams(self._file("upstreams.toml"), self.references, self.root)
        ids = tuple(spec.id for spec in upstreams)
        connecting = read_connectors(self._file("connectors.toml"), self.references, self.root, mode=mode, taken=ids)
        made = read_tools(self._file("tools.toml"), self.references, self._variable("OMIT_HANDLERS", omitted, ()))
        offered = (*ids, *(each.id for each in connecting.connectors), *package_names(omit=made.handlers.omit))
        settings = Settings(
            folder=self.folder,
            root=self.root,
            mode=mode,
            name=server.parsed("name", single.name, "ostiary"),
            host=host,
            port=port,
            public_url=self._public_url(server, mode, host, port),
            trusted_proxies=server.texts("trusted_proxies", single.network),
            allowed_hosts=server.texts("allowed_hosts", single.host),
            allowed_origins=server.texts("allowed_origins", single.origin),
            secrets=self._secrets(server, mode, store_settings),
            accept_key_in_query=server.flag("accept_key_in_query", True),
            keepalive_s=server.number("keepalive_s", 25, 1, 300),
            max_body_bytes=server.integer("max_body_bytes", 10 * 1024 * 1024, 1024, 1024 * 1024 * 1024),
            page_items=server.integer("page_items", 250, 1, 10_000),
            stale_after_s=server.number("stale_after_s", 30, 3, 3600),
            store=store_settings,
            policy_folder=self._policy(policy, mode),
            check_one_in=policy.integer("check_one_in", 1000, 0, 1_000_000_000),
            trusted_keys=self._trusted_keys(policy, mode),
            audit=self._audit(top.table("audit")),
            admin_email=self._admin(admin),
            log_new_keys=self._log_new_keys(admin),
            upstreams=upstreams,
            servers=read_servers(self._file("servers.toml"), offered),
            connectors=connecting.connectors,
            definition_folders=connecting.folders,
            connections=connecting.connections,
            mail=read_mail(top, self.references, mode),
            issuers=read_issuers(top),
            limits=read_address_limits(top),
            metrics=read_metrics(top, self.references),
            http=made.http,
            handlers=made.handlers,
            named_secrets=made.secrets,
            workers=server.integer("workers", 1, 1, 64),
            node=self._node(top.table("node")),
            notes=tuple(self.notes),
        )
        for table in (top, server, store, policy, admin):
            table.close()
        self._refuse_strays()
        if self.problems:
            raise SettingsError(
                sorted(self.problems, key=lambda problem: (problem.place.file, problem.place.line or 0))
            )
        return settings

    def _file(self, name: str, *, required: bool = False) -> Table:
        return Table.of_file(self.folder / name, f"{self.folder.name}/{name}", self.problems, required=required)

    def _refuse_strays(self) -> None:
        """A file whose name has a slip would be missed by nobody."""
        for path in self.folder.glob("[!.]*.toml"):
            if path.name not in FILES:
                sentence = f"no settings are read from here{suggestion(path.name, FILES)}"
                self.problems.append(Problem(Place(f"{self.folder.name}/{path.name}"), sentence))

    def _bind(self, server: Table) -> tuple[str, int]:
        host, port = server.parsed("bind", single.bind, single.bind(single.DEFAULT_BIND))
        return host, self._variable("PORT", single.port_of, port)

    def _mode(self, server: Table, host: str) -> Mode:
        exposed = self._exposure(host)
        chosen = server.choice("mode", Mode, Mode.PRODUCTION if exposed else Mode.DEVELOPMENT)
        if exposed and chosen is Mode.DEVELOPMENT:
            server.problem(f"mode `development` is not to be had while {exposed}; remove the line", "mode")
            return Mode.PRODUCTION
        if chosen is Mode.PRODUCTION:
            self.notes.append(
                "production: the policy in force is the one in the store; `ostiary policy apply` changes it"
            )
        return chosen

    def _exposure(self, host: str) -> str:
        if self.environ.get("MONGODB_URI"):
            return "`MONGODB_URI` is set"
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        return "" if loopback else f"`bind` opens `{host}` to other machines"

    def _public_url(self, server: Table, mode: Mode, host: str, port: int) -> str:
        default = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        url = server.parsed("public_url", single.origin, default)
        if mode is Mode.PRODUCTION and not url.startswith("https://"):
            server.problem(
                "production needs `public_url`, the https address under which clients reach this server", "public_url"
            )
        return url

    def _store(self, store: Table) -> StoreSettings:
        uri = self.environ.get("MONGODB_URI", "")
        if uri and not uri.startswith(("mongodb://", "mongodb+srv://")):
            self._environment_problem("MONGODB_URI", "is to start with `mongodb://` or `mongodb+srv://`")
        return StoreSettings(
            path=self.root / store.parsed("path", single.database_file, "var/ostiary.db"),
            uri=Secret(uri) if uri else None,
            database=self._variable("MONGODB_DB", single.database, "ostiary"),
        )

    def _secrets(self, server: Table, mode: Mode, store: StoreSettings) -> tuple[MasterSecret, ...]:
        before = len(self.problems)
        found = [each for entry in server.tables("secret") if (each := self._secret(entry)) is not None]
        if len({each.id for each in found}) != len(found):
            server.problem("two secrets have one id", "secret")
        if found or len(self.problems) > before:
            return tuple(found)
        if mode is Mode.PRODUCTION:
            server.problem(
                'production needs `secret`, such as `secret = [{ id = "a", env = "OSTIARY_SECRET" }]`', "secret"
            )
            return ()
        return self._development_secret(store.path.with_suffix(".secret"))

    def _secret(self, entry: Table) -> MasterSecret | None:
        id = entry.parsed("id", single.secret_id, "")
        if not entry.has("id"):
            entry.problem('a secret needs an `id`, such as `id = "a"`')
        value = entry.reference(self.references, more=("id",))
        if value is not None and len(value.reveal()) < LEAST_SECRET_LENGTH:
            entry.problem(
                f"secret `{id}` is shorter than {LEAST_SECRET_LENGTH} characters; `openssl rand -base64 32` makes one"
            )
        return None if value is None else MasterSecret(id, value)

    def _development_secret(self, path: Path) -> tuple[MasterSecret, ...]:
        name = os.path.relpath(path, self.root)
        try:
            if _create_secret(path):
                self.notes.append(f"development: a new secret stands in {name}; without it every API key is void")
            return (MasterSecret("development", read_secret(path, name)),)
        except OSError as error:
            self.problems.append(
                Problem(Place(name), f"cannot be written: {(error.strerror or 'unknown error').lower()}")
            )
        except ValueError as error:
            self.problems.append(Problem(Place(name), f"development secret: {error}"))
        return ()

    def _policy(self, policy: Table, mode: Mode) -> Path:
        path = self.root / policy.parsed("folder", single.path, "policies")
        if mode is Mode.DEVELOPMENT and not path.is_dir():
            policy.problem(f"there is no policy folder `{os.path.relpath(path, self.root)}`", "folder")
        return path

    def _trusted_keys(self, policy: Table, mode: Mode) -> tuple[TrustedKey, ...]:
        before = len(self.problems)
        found = [each for entry in policy.tables("trusted_keys") if (each := self._trusted_key(entry)) is not None]
        if len({each.id for each in found}) != len(found):
            policy.problem("two trusted keys have one id", "trusted_keys")
        if found and mode is Mode.DEVELOPMENT:
            sentence = "development applies every edit of the folder, unsigned; remove `trusted_keys`, or set `mode`"
            policy.problem(f"{sentence} to `production`", "trusted_keys")
        return tuple(found) if len(self.problems) == before else ()

    def _trusted_key(self, trusted: Table) -> TrustedKey | None:
        id, before = trusted.parsed("id", single.secret_id, ""), len(self.problems)
        if not trusted.has("id"):
            trusted.problem('a trusted key needs an `id`, such as `id = "ann"`')
        given = [form for form in ("key", "file") if trusted.has(form)]
        public = trusted.parsed("key", read_public, b"")
        public = trusted.parsed("file", self._public_key, public)
        if trusted.close() and len(given) != 1:
            trusted.problem("a trusted key needs exactly one of `key`, `file`")
        return TrustedKey(id, public) if len(self.problems) == before else None

    def _public_key(self, name: str) -> bytes:
        try:
            with (self.root / name).open("rb") as file:
                if os.fstat(file.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise ValueError(f"`{name}`: others can write it; run `chmod go-w` on it")
                return read_public(file.read(MOST_KEY_BYTES).decode("ascii", "replace"))
        except OSError as error:
            raise ValueError(f"`{name}` cannot be read: {(error.strerror or 'unknown error').lower()}") from None

    def _audit(self, audit: Table) -> AuditSettings:
        jsonl = audit.parsed("jsonl", single.path, "off")
        target = {"off": "", "stdout": "stdout"}.get(jsonl, str(self.root / jsonl))
        failing = audit.parsed("on_failure", single.on_failure, "refuse")
        settings = AuditSettings(target, audit.integer("retention_days", 90, 1, 36_500), failing)
        audit.close()
        return settings

    def _node(self, node: Table) -> NodeSettings:
        bind = self._variable("OSTIARY_NODE_BIND", single.internal, node.parsed("bind", single.internal, ""))
        address = self._variable("OSTIARY_NODE_ADDRESS", single.reached, node.parsed("address", single.reached, bind))
        if address and not bind:
            node.problem("an `address` needs a `bind`, where this node listens for the others", "address")
        node.close()
        return NodeSettings(bind, address)

    def _admin(self, admin: Table) -> str:
        return self._variable("MCP_ADMIN_EMAIL", normal_email, admin.parsed("email", normal_email, DEFAULT_ADMIN))

    def _log_new_keys(self, admin: Table) -> bool:
        on = admin.flag("log_new_keys", False)
        if on:
            self.notes.append(
                "warning: `admin.log_new_keys` is on: every new API key is written into the log, and whoever reads the "
                "log can use it"
            )
        return on

    def _variable(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """An environment variable that wins over ``default``; an empty one counts as not set."""
        text = self.environ.get(name, "")
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self._environment_problem(name, str(error))
            return default

    def _environment_problem(self, name: str, sentence: str) -> None:
        self.problems.append(Problem(Place(f"environment variable {name}"), sentence))


def _create_secret(path: Path) -> bool:
    """Whether a new secret was written: whole, private, and never over an old one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = path.with_name(f"{path.name}.{randomness.token_hex(8)}")
    draft.touch(mode=0o600, exist_ok=False)
    try:
        draft.write_text(randomness.token_urlsafe(32) + "\n")
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True

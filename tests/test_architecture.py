"""The walls of the house: who may import whom, and the laws that a machine can see."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted(path for package in ("gateway", "connectors") for path in (ROOT / package).rglob("*.py"))

# what the rooms of ``gateway.analysis`` have in common
TEXT = ("gateway.policy", *(f"gateway.analysis.{each}" for each in ("inventory", "severity", "wording")))
RIGHTS = (*TEXT, *(f"gateway.analysis.{each}" for each in ("cells", "classes", "parties", "reach", "rights")))

# room → the rooms it may import from. The longest matching name decides; a room may always import itself, but for the
# rooms inside it.
MAY_IMPORT = {
    "gateway.policy": (),
    "gateway.plain_yaml": ("gateway.policy.terms",),
    "gateway.analysis": ("gateway.policy",),
    "gateway.analysis.lint": TEXT,
    "gateway.analysis.cases": (*RIGHTS, "gateway.plain_yaml"),
    "gateway.analysis.plan": RIGHTS,
    "gateway.analysis.replay": ("gateway.policy",),
    "gateway.errors": ("gateway.policy.terms",),
    "gateway.records": (),
    "gateway.mcp": ("gateway.errors", "gateway.policy.terms", "gateway.policy.spelling"),
    "connectors": ("gateway.mcp", "gateway.policy.terms", "gateway.errors", "connectors.definition"),
    "connectors.openapi": ("gateway.plain_yaml", "gateway.policy.terms", "gateway.mcp.schema_weight"),
    "connectors.definition": (
        "gateway.mcp",
        "gateway.policy.terms",
        "gateway.plain_yaml",
        "connectors.addresses",
        "connectors.base",
    ),
    "gateway.identity": ("gateway.policy.terms", "gateway.errors", "gateway.records"),
    "gateway.servers": (
        *("gateway.policy", "gateway.identity", "gateway.records", "gateway.store.base", "gateway.mcp.jsonrpc"),
        "connectors.base",
    ),
    "gateway.proofs": (
        *("gateway.errors", "gateway.identity", "gateway.policy.spelling", "gateway.policy.terms", "gateway.records"),
        *("gateway.servers", "gateway.settings.terms", "gateway.snapshot", "gateway.vault"),
        *("connectors.addresses", "connectors.base", "connectors.egress", "connectors.oauth"),
    ),
    "gateway.sealing": (),
    "gateway.vault": ("gateway.identity",),
    "gateway.connections.known": ("gateway.records",),
    "gateway.custom": (
        *("gateway.records", "gateway.policy.terms", "gateway.policy.mapping", "gateway.mcp", "gateway.errors"),
        "connectors.http_calls",
    ),
    "gateway.targets": (
        *("gateway.catalogue", "gateway.custom", "gateway.records"),
        *("connectors.http_calls", "connectors.packages"),
    ),
    "gateway.connections.upstreams": (
        *("connectors.base", "connectors.definition", "connectors.egress", "connectors.http_messages"),
        *("connectors.oauth", "connectors.once", "gateway.connections.material", "gateway.errors", "gateway.mcp.terms"),
        *("gateway.records", "gateway.store.base", "gateway.vault"),
    ),
    "gateway.connections": (
        *("gateway.connections.known", "gateway.vault", "gateway.identity", "gateway.records", "gateway.store.base"),
        "gateway.servers.known",
        *(
            "gateway.errors",
            "gateway.policy.terms",
            "gateway.settings",
            "gateway.manage.loans",
            "gateway.manage.stored",
        ),
        "connectors",
    ),
    "gateway.lending": (
        *("gateway.analysis.inventory", "gateway.errors", "gateway.snapshot"),
        *(
            "gateway.manage.loans",
            "gateway.manage.share_checks",
            "gateway.manage.stored",
            "gateway.policy.terms",
            "gateway.records",
            "gateway.store.base",
        ),
        "connectors.definition",
    ),
    "gateway.assembly.linked": (
        *("gateway.connections", "gateway.follower", "gateway.snapshot", "gateway.identity", "gateway.lending"),
        *("gateway.pipeline", "gateway.policy.engine", "gateway.policy.rows", "gateway.servers.known"),
        *("gateway.policy.terms", "gateway.records", "gateway.settings", "gateway.store.base", "gateway.vault"),
        "connectors",
    ),
    "gateway.assembly.held": (
        *("gateway.connections", "gateway.follower", "gateway.identity", "gateway.records", "gateway.settings"),
        *("gateway.store.base", "gateway.vault", "connectors"),
    ),
    "gateway.sessions": ("gateway.policy.terms", "gateway.errors", "gateway.mcp"),
    "gateway.audit": (
        *("gateway.policy.terms", "gateway.policy.condition_values", "gateway.store.base", "gateway.records"),
    ),
    "gateway.store": ("gateway.audit", "gateway.records"),
    "gateway.moving": ("gateway.store.base", "gateway.store.kinds", "gateway.store.whole"),
    "gateway.catalogue": (
        *("gateway.mcp", "gateway.policy.terms", "gateway.policy.schema", "gateway.policy.mapping", "gateway.errors"),
        *("gateway.records", "connectors.base"),
    ),
    "gateway.imports": (
        *("gateway.custom", "gateway.manage.share_rows", "gateway.manage.users", "gateway.identity", "gateway.records"),
        *("gateway.policy.terms", "gateway.policy.spelling", "gateway.store.base", "connectors.base"),
        *("connectors.addresses", "gateway.manage.loans", "gateway.manage.remains", "gateway.imports.documents"),
    ),
    "gateway.imports.documents": ("gateway.policy.terms",),
    "gateway.imports.sources": ("gateway.imports.documents", "gateway.store.mongo_client"),
    "gateway.observing": ("gateway.audit", "gateway.policy.terms", "gateway.settings.terms"),
    "gateway.assembly.watched": (
        *("gateway.audit", "gateway.follower", "gateway.observing", "gateway.sessions", "gateway.settings"),
    ),
    "gateway.pacing": ("gateway.policy",),
    "gateway.follower": (
        *("gateway.identity", "gateway.policy", "gateway.records", "gateway.store.base", "gateway.folder_mode"),
        *("gateway.shadow", "gateway.pacing", "gateway.snapshot", "gateway.standing", "gateway.servers"),
    ),
    "gateway.standing": ("gateway.policy.terms",),
    "gateway.snapshot": (
        *("gateway.identity", "gateway.policy", "gateway.store.base", "gateway.connections.known"),
        *("gateway.custom.known", "gateway.servers", "gateway.policy.terms"),
    ),
    "gateway.shadow": ("gateway.pacing", "gateway.audit", "gateway.policy", "gateway.store.base"),
    "gateway.folder_mode": (
        *("gateway.manage.policies", "gateway.manage.commit", "gateway.analysis", "gateway.policy", "gateway.audit"),
        "gateway.store.base",
    ),
    "gateway.pipeline": (
        *("gateway.policy", "gateway.mcp", "connectors.base", "gateway.identity", "gateway.audit"),
        *(
            "gateway.catalogue",
            "gateway.follower",
            "gateway.snapshot",
            "gateway.custom",
            "gateway.records",
            "gateway.servers",
            "gateway.manage.asking",
            "gateway.builtins.terms",
            "gateway.shadow",
            "gateway.sealing",
            "gateway.errors",
            "gateway.observing.times",
            "gateway.pacing",
        ),
    ),
    "gateway.tallies": (
        *("gateway.pipeline.buckets", "gateway.policy.limits", "gateway.records", "gateway.store.base"),
    ),
    "gateway.workers": (*("gateway.errors", "gateway.records", "gateway.sealing", "gateway.store.base"),),
    "gateway.pinning": (
        *("gateway.manage.pins", "gateway.mcp", "gateway.records", "gateway.store.base", "gateway.audit"),
        *("gateway.errors", "gateway.policy.terms", "connectors.base"),
    ),
    "gateway.streams": (
        *("gateway.pipeline", "gateway.sessions", "gateway.errors", "gateway.mcp.terms", "gateway.pacing"),
        *("gateway.policy.terms", "gateway.policy.turn", "gateway.snapshot", "connectors.base"),
    ),
    "gateway.manage": (
        *("gateway.policy", "gateway.analysis", "gateway.store.base", "gateway.records", "gateway.identity"),
        *("gateway.audit", "connectors.base", "gateway.errors", "gateway.mcp", "gateway.custom", "gateway.snapshot"),
        *("gateway.servers", "gateway.vault", "gateway.proofs.issued"),
    ),
    "gateway.builtins": (
        *("gateway.manage", "gateway.custom", "gateway.policy.terms", "gateway.policy.schema", "gateway.mcp"),
        "gateway.errors",
    ),
    "gateway.settings": (
        *("connectors.base", "connectors.addresses", "gateway.policy.terms", "gateway.mcp.terms", "gateway.identity"),
        "gateway.policy.signature",
        *("connectors.http_calls", "connectors.packages.finding"),
    ),
    "gateway.platforms": (
        *(
            "gateway.settings",
            "gateway.policy.terms",
            "connectors.base",
            "connectors.addresses",
            "connectors.definition",
        ),
    ),
    "gateway.checkup": (
        *("gateway.platforms", "gateway.settings", "gateway.connections.redirects", "gateway.policy.terms"),
        *("connectors.base", "connectors.definition", "connectors.egress", "connectors.oauth.metadata"),
    ),
    "gateway.web": (
        *("gateway.pipeline", "gateway.manage", "gateway.mcp", "gateway.sessions", "gateway.identity"),
        *("connectors.base", "gateway.policy.terms", "gateway.errors", "gateway.connections", "gateway.records"),
        *("gateway.servers", "gateway.policy.spelling", "gateway.audit.entry", "gateway.workers"),
    ),
    "gateway.web.pages": (
        *("gateway.web.operations", "gateway.connections", "gateway.signing_in", "gateway.pipeline", "gateway.sealing"),
        *("gateway.manage.loans", "gateway.settings.terms", "gateway.identity", "gateway.records", "gateway.errors"),
        *("gateway.policy.terms", "connectors.base", "connectors.definition"),
    ),
    "gateway.mail": ("gateway.settings.terms",),
    "gateway.letters": ("gateway.mail", "gateway.manage.letters", "gateway.manage.users", "gateway.settings.terms"),
    "gateway.signing_in": (
        *(
            "gateway.mail",
            "gateway.manage.sign_ins",
            "gateway.pipeline.arriving",
            "gateway.pipeline.buckets",
            "gateway.policy.limits",
            "gateway.policy.terms",
        ),
        *("gateway.snapshot", "gateway.identity", "gateway.sealing", "gateway.settings.terms", "gateway.store"),
        *("gateway.errors", "connectors.addresses", "connectors.base", "connectors.definition", "connectors.oauth"),
    ),
    "gateway.assembly.offered": (
        *("gateway.catalogue", "gateway.records", "gateway.servers", "gateway.mcp.terms", "gateway.policy.terms"),
    ),
    "gateway.assembly.rules": (
        *("gateway.analysis.inventory", "gateway.catalogue", "gateway.folder_mode", "gateway.manage.office"),
        *("gateway.manage.rulebook", "gateway.mcp.terms", "gateway.policy.terms", "gateway.settings"),
    ),
    "gateway.assembly.servers": (
        *("gateway.catalogue", "gateway.mcp.terms", "gateway.policy.terms", "gateway.settings"),
        *("gateway.pinning", "connectors.base", "connectors.egress", "connectors.upstream"),
        *("gateway.platforms", "gateway.errors", "connectors.definition.platform", "connectors.rest.connector"),
        *("connectors.inviting", "connectors.oauth.metadata"),
    ),
    "gateway.cli": (
        *("gateway", "connectors.base", "connectors.listing", "connectors.definition", "connectors.openapi"),
        *("connectors.rest", "connectors.oauth", "connectors.egress", "connectors.outgoing"),
        *("connectors.packages", "connectors.addresses"),
    ),
    "gateway.assembly": (),
    "gateway.assembly.company": (
        *("gateway.follower", "gateway.identity", "gateway.pipeline.request_state", "gateway.records"),
        *("gateway.sealing", "gateway.store.base", "gateway.web", "gateway.workers"),
    ),
    "gateway.assembly.accounts": ("gateway", "connectors"),
    "gateway.assembly.proven": (
        *("gateway.audit", "gateway.follower", "gateway.identity", "gateway.manage.enrolling", "gateway.policy.terms"),
        *("gateway.proofs", "gateway.settings", "gateway.store.base", "gateway.vault", "gateway.web.protected"),
        "connectors.egress",
    ),
    "gateway.assembly.administration": ("gateway", "connectors"),
    "gateway.assembly.front": ("gateway", "connectors"),
    "gateway.app": ("gateway", "connectors"),
}
# foreign package → how the modules begin that alone may import it
ONLY_IN = {
    "authlib": ("connectors.oauth",),
    "joserfc": ("connectors.oauth",),
    "aiosmtplib": ("gateway.mail",),
    "smtplib": (),
    "markupsafe": ("gateway.web.pages",),
    "casbin": ("gateway.policy.engine", "gateway.manage.casbin_adapter"),
    "httpx2": ("connectors.oauth",),
    "quart": ("gateway.web",),
    "werkzeug": ("gateway.web",),
    "pymongo": ("gateway.store.mongo",),
    "sqlite3": ("gateway.store.sqlite",),
    "aiohttp": ("connectors.egress",),
    "socket": ("connectors.egress", "gateway.cli"),
    "click": ("gateway.cli",),
    "rich": ("gateway.cli",),
    "yaml": ("gateway.plain_yaml",),
    "hypercorn": ("gateway.cli",),
    "prometheus_client": ("gateway.observing.metrics",),
}
PURE = ("gateway.policy", "gateway.analysis", "gateway.mcp", "gateway.plain_yaml", "connectors.openapi")
IMPURE = {
    "asyncio",
    "aiohttp",
    "quart",
    "pymongo",
    "sqlite3",
    "time",
    "socket",
    "random",
    "secrets",
    "logging",
    "threading",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(module: str) -> str:
    rooms = [room for room in MAY_IMPORT if within(module, room)]
    assert rooms, f"{module} stands in no room of the table"
    return max(rooms, key=len)


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_module_imports_only_what_its_room_may(path: Path):
    module = name_of(path)
    if module in ("gateway", "connectors"):
        return
    room = room_of(module)
    for target in imports(ast.parse(path.read_text())):
        if target.split(".")[0] in ("gateway", "connectors"):
            mine = within(target, room) and room_of(target) == room
            assert mine or any(within(target, each) for each in MAY_IMPORT[room]), f"{module} imports {target}"


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_foreign_package_stays_behind_its_seam(path: Path):
    module = name_of(path)
    for target in imports(ast.parse(path.read_text())):
        package = target.split(".")[0]
        if package in ONLY_IN:
            assert module.startswith(ONLY_IN[package]), f"{module} imports {package}"
        if any(within(module, room) for room in PURE):
            assert package not in IMPURE, f"{module} is pure and imports {package}"


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_file_keeps_the_laws_on_length_and_shape(path: Path):
    text = path.read_text()
    assert text.count("\n") <= 400, "no file over 400 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 80, f"{node.name} is over 80 lines"
            inner = [each for each in ast.walk(node) if isinstance(each, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports inside itself"
        assert not isinstance(node, ast.Assert), "product code does not assert"


@pytest.mark.parametrize("folder", ["policies", "config"])
def test_what_people_edit_holds_no_python(folder: str):
    assert not list((ROOT / folder).rglob("*.py"))


def test_nothing_that_is_kept_names_a_registry_or_a_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    forbidden = re.compile(
        "|".join(("pythonhosted" + r"\.org", "registry" + r"\.npmjs", "/" + "work/", '"resolved' + '"'))
    )
    for name in listed:
        text = (ROOT / name).read_bytes().decode("utf-8", "replace") if (ROOT / name).is_file() else ""
        assert not forbidden.search(text), name


def test_the_core_stays_small_and_free_of_pydantic():
    seen: set[str] = set()
    waiting = ["ostiary"]
    while waiting:
        for requirement in requires(waiting.pop()) or ():
            name = re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-")
            if any(mark in requirement for mark in ("extra ==", "python_version <", "win32", "== 'emscripten'")):
                continue
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    assert len(seen) < 50, sorted(seen)
    assert not {each for each in seen if "pydantic" in each}


def test_importing_the_product_loads_no_test_package():
    code = "import sys, gateway.app; print([m for m in ('pydantic', 'mcp', 'hypothesis') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_embedded_store_does_not_load_the_driver_of_the_other():
    code = "import sys, gateway.app; print('pymongo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

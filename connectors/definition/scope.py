"""Which names a template of a definition may use, and where its URLs may lead: judged while it is read.

This file knows the meaning of names and hosts, not what any template is for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from connectors.definition.form import Form, meant
from connectors.definition.hosts import LOOPBACK, covers, host_of
from connectors.definition.templates import FIELD, fields
from connectors.definition.terms import Auth, Input


@dataclass(frozen=True, slots=True)
class Scope:
    """Names by where they may stand: ``typed`` are inputs, ``plain`` what a platform told besides, ``legs`` what there
    is before there is a token, ``secret`` the parts of a credential. ``hosts`` are those that may see one.
    """

    typed: frozenset[str]
    plain: frozenset[str]
    legs: frozenset[str]
    secret: frozenset[str]
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, auth: Auth, inputs: Iterable[Input]) -> "Scope":
        given = tuple(inputs)
        typed = frozenset(each.name for each in given if not each.secret)
        secret = frozenset(each.name for each in given if each.secret)
        if auth.oauth is None:
            return cls(typed, typed, typed, secret)
        told = frozenset((*auth.oauth.answer.keep, *auth.oauth.callback_keep))
        return cls(typed, typed | told, typed | {"client_id"}, secret | {"access_token"})

    def reaching(self, hosts: tuple[str, ...]) -> "Scope":
        return replace(self, hosts=hosts)


def field_names(form: Form, key: str, template: str) -> tuple[str, ...]:
    """The names in a template; a fault in it is told."""
    try:
        return fields(template)
    except ValueError as error:
        form.problem(f"`{form.named(key)}`: {error}", key)
        return ()


def check_fields(form: Form, key: str, template: str, known: frozenset[str]) -> None:
    """Tell the names in a template that are not ``known``."""
    for name in field_names(form, key, template):
        if name not in known:
            there = meant(name, sorted(known)) or "; nothing has a name here"
            form.problem(f"`{form.named(key)}` names `{{{name}}}`, which there is not{there}", key)


def check_url(form: Form, key: str, url: str, known: frozenset[str], hosts: tuple[str, ...]) -> None:
    """Tell what is wrong with the template of a URL: its names, its scheme, a host outside of ``hosts`` (empty: any).

    One that begins with a name is judged when it is filled.
    """
    check_fields(form, key, url, known)
    if not url or FIELD.match(url):
        return
    host = host_of(url)
    if not host or "@" in host or "#" in url or any(each <= " " for each in url):
        form.problem(f"`{form.named(key)}` is not an absolute https URL", key)
    elif not url.startswith("https://") and host not in LOOPBACK:
        form.problem(f"`{form.named(key)}` is not `https`", key)
    elif hosts and host not in hosts and not covers(hosts, FIELD.sub("x", host)):
        form.problem(f"`{form.named(key)}` leads to `{host}`, which is not in `api.allowed_hosts`", key)

"""The person at the browser, as far as the counterparts' own pages go: signs in, agrees, or says no."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

_STEPS = 12


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
            self._inside = True
        elif tag == "input" and self._inside and given.get("name"):
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "a":
            self.links.append(given.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.forms[-1].text += data


class Person:
    """Somebody with a browser of his own; ``who`` is how the pages name him (a login or an address)."""

    def __init__(self, who: str) -> None:
        self.who = who
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays, jar)

    def agrees(self, url: str) -> str:
        """The address to which the platform sends him back from ``url``, once he has agreed to everything."""
        return self._walk(url, self._agreeing)

    def refuses(self, url: str) -> str:
        """The same, when he follows the page's own way out."""
        return self._walk(url, self._refusing)

    def _walk(self, url: str, answer: Any) -> str:
        home = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        data: dict[str, str] | None = None
        for _ in range(_STEPS):
            status, headers, page = self._open(url, data)
            if target := headers.get("Location"):
                url, data = urljoin(url, target), None
                if url.split("?")[0] == home.split("?")[0]:
                    return url
                continue
            if status != 200:
                raise AssertionError(f"the page answers {status}: {' '.join(_words(page))[:300]}")
            url, data = answer(url, page)
        raise AssertionError("the pages never lead back")

    def _agreeing(self, url: str, page: str) -> tuple[str, dict[str, str] | None]:
        forms = _parsed(page).forms
        mine = [form for form in forms if self.who in (*form.fields.values(), *form.text.split())]
        form = (mine or forms)[0]
        known = {"login": self.who, "password": "of a test"}
        asked = {name: value or known.get(name, "") for name, value in form.fields.items()}
        return urljoin(url, form.action), asked

    def _refusing(self, url: str, page: str) -> tuple[str, dict[str, str] | None]:
        return urljoin(url, next(link for link in _parsed(page).links if link.endswith("/abort"))), None

    def _open(self, url: str, data: dict[str, str] | None) -> tuple[int, HTTPMessage, str]:
        body = urlencode(data).encode() if data is not None else None
        try:
            with self._browser.open(urllib.request.Request(url, body), timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()


def _parsed(page: str) -> _Forms:
    parser = _Forms()
    parser.feed(page)
    return parser


def _words(page: str) -> Iterator[str]:
    return iter(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())

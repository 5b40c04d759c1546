"""A person at a browser without scripts, on the pages of a whole gateway and on those of the platforms."""

from html import unescape
from urllib.parse import urljoin, urlsplit

from tests.platforms import visiting


class Visitor(visiting.Person):
    """``who`` is how a platform's pages name him, ``key`` his key of the gateway."""

    def __init__(self, who: str, key: str) -> None:
        super().__init__(who)
        self.key = key

    def connects(self, link: str, **typed: str) -> str:
        """The words of the page on which connecting an account ends, once he has agreed to everything."""
        url, page = self.enters(link)
        url, page = self.sends(url, page, urlsplit(link).path, **typed)
        if onward := [each for each in visiting._parsed(page).links if "redirect_uri=" in each]:
            url, page = self.arrives(self.agrees(unescape(onward[0])))
        if other := [each for each in visiting._parsed(page).forms if each.fields.get("keep") == "yes"]:
            url, page = self.arrives(urljoin(url, other[0].action), other[0].fields)
        return " ".join(visiting._words(unescape(page)))

    def enters(self, link: str) -> tuple[str, str]:
        """The page behind ``link``, once he has signed in where that is asked for."""
        url, page = self.arrives(link)
        if any(each.action == "/sign-in/key" for each in visiting._parsed(page).forms):
            url, page = self.sends(url, page, "/sign-in/key", key=self.key)
        return url, page

    def sends(self, url: str, page: str, action: str, **typed: str) -> tuple[str, str]:
        """Where filling in the form for ``action`` on a page leads to."""
        form = next(each for each in visiting._parsed(page).forms if each.action == action)
        return self.arrives(urljoin(url, action), {**form.fields, **typed})

    def arrives(self, url: str, data: dict[str, str] | None = None) -> tuple[str, str]:
        """The address and the text of the page at the end of all redirections."""
        for _ in range(10):
            status, headers, page = self._open(url, data)
            if (target := headers.get("Location")) is None:
                assert status == 200, f"{status} at {urlsplit(url).path}: {' '.join(visiting._words(page))[:300]}"
                return url, page
            url, data = urljoin(url, target), None
        raise AssertionError("the pages never end")

"""The document of the API names its forms by words of the product, each for one thing."""

import re

from tests.web.api.whole import whole


async def test_no_form_is_called_by_where_its_code_stands(tmp_path):
    async with whole(tmp_path) as api:
        schemas = (await api("GET", "/api/openapi.json", key="")).json["components"]["schemas"]
    assert {"KeyWish", "UserWish", "EndUserWish", "ServerWish", "ShareWish"} <= set(schemas)
    assert [name for name in schemas if re.fullmatch(r"[A-Z][A-Za-z]*", name) is None] == []

"""Stripe, against the emulator; refunds, which it does not know, against a small server."""

import pytest

from connectors.base import Secret
from connectors.definition.patterns import fits
from gateway.errors import InvalidArguments
from tests.platforms.rig import DEFINITIONS
from tests.platforms.small import Reply

KEY = "rk_test_51Abcdefghij"
REFUNDS = "/api.stripe.com/v1/refunds"


@pytest.fixture
def rig(emulated_rig):
    made = emulated_rig("stripe")
    made.typed = {"api_key": Secret(KEY)}
    return made


@pytest.fixture
def own(small_rig):
    made = small_rig("stripe")
    made.typed = {"api_key": Secret(KEY)}
    return made


def test_only_what_looks_like_a_key_is_taken():
    pattern = DEFINITIONS["stripe"].inputs[0].pattern
    assert fits(pattern, KEY)
    assert not any(
        fits(pattern, each) for each in ("pk_test_51Abcdefghij", f"{KEY}\n", f" {KEY}", "sk_live_", "sk_live_ä")
    )


async def test_customers_are_made_changed_found_and_deleted(rig):
    made = await rig.call("create_customer", email="new@example.com", metadata={"bed": "7", "kind": "a & b=c"})
    assert made["metadata"] == {"bed": "7", "kind": "a & b=c"}
    assert (await rig.call("update_customer", id=made["id"], name="New & old"))["name"] == "New & old"
    assert [each["id"] for each in (await rig.call("list_customers", email="new@example.com"))["data"]] == [made["id"]]
    assert (await rig.call("delete_customer", id=made["id"]))["deleted"] is True
    assert "No such customer" in await rig.fails("get_customer", id=made["id"])


async def test_pages_are_put_together_by_the_last_id_of_each(emulated_rig):
    rig = emulated_rig("stripe", page=2)
    rig.typed = {"api_key": Secret(KEY)}
    ids = [each["id"] for each in (await rig.call("list_customers"))["data"]]
    assert len(ids) == len(set(ids))
    assert set(ids) >= {f"cus_{number}" for number in range(1, 6)}


async def test_no_page_is_asked_for_behind_the_last(own, small):
    first = {"data": [{"id": "re_1"}], "has_more": True}
    small.says(f"GET {REFUNDS}", first, {"data": [{"id": "re_2"}], "has_more": False})
    assert [each["id"] for each in (await own.call("list_refunds"))["data"]] == ["re_1", "re_2"]
    assert [heard.query.get("starting_after") for heard in small.heard] == [None, "re_1"]


async def test_products_and_prices_are_made(rig):
    product = await rig.call("create_product", name="Tulip", description="Red")
    price = await rig.call("create_price", product=product["id"], currency="eur", unit_amount=300)
    assert (price["unit_amount"], price["currency"]) == (300, "eur")
    assert {"Rose", "Tulip"} <= {each["name"] for each in (await rig.call("list_products"))["data"]}
    assert [each["id"] for each in (await rig.call("list_prices", product=product["id"]))["data"]] == [price["id"]]
    assert (await rig.call("list_payments"))["data"] == []
    assert (await rig.call("list_charges"))["data"] == []


async def test_a_refund_is_a_form_with_a_key_that_keeps_it_from_happening_twice(own, small):
    small.says(f"POST {REFUNDS}", {"id": "re_1"})
    for _ in range(2):
        await own.call("create_refund", payment_intent="pi_1", amount=500, metadata={"why": "late"})
    first, second = small.asked(f"POST {REFUNDS}")
    assert first.form == {"payment_intent": "pi_1", "amount": "500", "metadata[why]": "late"}
    assert first.headers["Authorization"] == f"Bearer {KEY}"
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


async def test_a_refund_that_stripe_refuses_is_told_without_the_key(own, small):
    error = {"error": {"type": "invalid_request_error", "message": f"Charge was refunded already ({KEY})"}}
    small.says(f"POST {REFUNDS}", Reply(error, 400))
    told = await own.fails("create_refund", payment_intent="pi_1", amount=1)
    assert "refunded already" in told
    assert KEY not in told


@pytest.mark.parametrize("id", ["../refunds", "..", "a/b\r\nX: y"])
async def test_an_id_never_becomes_another_path(own, small, id):
    with pytest.raises(InvalidArguments):
        await own.result("get_customer", id=id)
    assert small.heard == []

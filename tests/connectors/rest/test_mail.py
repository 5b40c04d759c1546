"""Arguments to a mail message: what a policy judged is where it goes, whatever somebody writes into it."""

import base64
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.rest.mail import composed
from gateway.errors import InvalidArguments

LOCAL = st.text("abcdefghijklmnopqrstuvwxyz0123456789.+-_", min_size=1, max_size=20).filter(
    lambda text: not (text.startswith(".") or text.endswith(".") or ".." in text)
)
ADDRESSES = st.builds(
    lambda local, domain: f"{local}@{domain}.example", LOCAL, st.from_regex(r"[a-z]{1,10}", fullmatch=True)
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)


def read(encoded):
    return message_from_bytes(base64.urlsafe_b64decode(encoded + "=="), policy=default)


def attempted(**arguments):
    """The message as somebody reads it, or the sentence that refuses it."""
    try:
        encoded, _ = composed({"subject": "", "text": "", **arguments})
    except InvalidArguments as error:
        return None, str(error)
    return read(encoded), ""


def addresses(message, header):
    return [each.addr_spec for each in message[header].addresses] if message[header] else []


@given(
    to=st.lists(ADDRESSES, min_size=1, max_size=5),
    cc=st.lists(ADDRESSES, max_size=3),
    subject=TEXTS,
    text=TEXTS,
    html=st.none() | TEXTS,
)
def test_a_message_goes_to_exactly_the_addresses_of_its_arguments(to, cc, subject, text, html):
    more = {} if html is None else {"html": html}
    message, refused = attempted(to=to, cc=cc, subject=subject, text=text, **more)
    if message is None:
        assert "`subject`: holds line breaks" in refused
        assert not subject.isprintable()
    else:
        assert addresses(message, "to") == to
        assert addresses(message, "cc") == cc
        assert message["bcc"] is None


@given(value=st.text(max_size=60))
def test_no_text_becomes_more_than_one_address(value):
    message, _ = attempted(to=[value])
    if message is None:
        return
    assert addresses(message, "to") == [value]
    assert set(message.keys()) <= {"To", "Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}


@pytest.mark.parametrize(
    "value",
    [
        "ann@example.com, eve@evil.example",
        "ann@example.com\r\nBcc: eve@evil.example",
        '"ann@example.com" <eve@evil.example>',
        "eve@evil.example (ann@example.com)",
        "group: ann@example.com;",
        "ann@example.com\x00",
        "ann",
        "@example.com",
        "ann@",
        "ann@[127.0.0.1]",
        "ann@example.com\u2028",
        7,
        None,
    ],
)
def test_what_is_not_one_plain_address_is_refused(value):
    with pytest.raises(InvalidArguments, match="`to`: holds what is not one plain address"):
        composed({"to": [value], "subject": "s", "text": "t"})


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@evil.example", "a\nb", "a\x00", "a\x85b", "\ud800"])
def test_a_subject_brings_no_further_header(value):
    message, refused = attempted(to=["ann@example.com"], subject=value)
    assert message is None
    assert "`subject`" in refused


def test_an_answer_names_the_message_that_it_answers():
    encoded, others = composed({"subject": "Re: s", "text": "t", "in_reply_to": "<1@example.com>", "thread_id": "t1"})
    message = read(encoded)
    assert message["In-Reply-To"] == message["References"] == "<1@example.com>"
    assert others == {"thread_id": "t1"}
    with pytest.raises(InvalidArguments, match="Message-ID"):
        composed({"subject": "s", "text": "t", "in_reply_to": "a b"})


def test_html_stands_beside_the_text_and_the_same_arguments_give_the_same_message():
    arguments = {"to": ["ann@example.com"], "subject": "Grüße", "text": "Hallo ä", "html": "<p>Hallo ä</p>"}
    encoded, _ = composed(arguments)
    message = read(encoded)
    assert message["Subject"] == "Grüße"
    assert message.get_body(("plain",)).get_content().strip() == "Hallo ä"
    assert message.get_body(("html",)).get_content().strip() == "<p>Hallo ä</p>"
    assert composed(arguments)[0] == encoded

"""The mail with a code: what it says, and where the code stands."""

import pytest

from connectors.base import Secret
from gateway.mail import post
from gateway.signing_in.mail import code_mail, post_code
from tests.mailbox import Box, listening

CODE = Secret("12345678")
ANN = "ann@example.com"


async def test_a_code_arrives_in_the_text_and_nowhere_else():
    box = Box()
    with listening(box) as settings:
        await post_code(post(settings), settings.sender, "Acme tools")(ANN, CODE)
    [(to, mail)] = box.mails
    assert (to, mail["From"], mail["To"]) == ([ANN], "gate@example.com", ANN)
    assert "1234 5678" in mail.get_content()
    assert "Acme tools" in mail["Subject"]
    assert not any("1234" in str(value) for value in mail.values())
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"


@pytest.mark.parametrize("name", ["Acme\r\nBcc: eve@example.com", "a\nb"])
def test_no_name_adds_a_header(name):
    with pytest.raises(ValueError):
        code_mail("gate@example.com", ANN, CODE, name)

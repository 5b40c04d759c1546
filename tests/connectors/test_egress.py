"""The one way out, against raw servers: where it goes and what it sends."""

import ssl

import pytest

from connectors.addresses import PUBLIC_ONLY, Exceptions, parse
from connectors.egress import Egress, Fault
from tests.connectors.raw_http import LOCAL, TLS, Names, ask, failure, plain

# --- where it goes


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.2", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "127.0.0.1.",
        "１２７.0.0.1", "127。0。0。1", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]",
        "[2002:7f00:1::]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2001::1]", "[fc00::1]", "[fe80::1]",
        "[fe80::1%25eth0]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]",
    ],
)  # fmt: skip
async def test_no_writing_of_an_inner_address_is_reached(host, egress):
    error = await failure(egress, f"https://{host}/", allow=PUBLIC_ONLY)
    assert error.kind is Fault.REFUSED_ADDRESS
    assert not error.sent


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:7f00:1", "64:ff9b::7f00:1", "fe80::1%1", "127.1"],
)
async def test_a_name_that_leads_inside_is_refused(address):
    names = Names([address])
    out = Egress(resolver=names, tls=TLS)
    error = await failure(out, "https://innocent.test/", allow=PUBLIC_ONLY)
    await out.close()
    assert error.kind is Fault.REFUSED_ADDRESS
    assert not error.sent
    assert names.asked == [("innocent.test", 443)]


async def test_one_inner_address_spoils_the_whole_answer(serve):
    server = await serve(plain())
    out = Egress(resolver=Names(["8.8.8.8", "169.254.169.254"]), tls=TLS)
    error = await failure(out, f"http://server.test:{server.port}/")
    await out.close()
    assert error.kind is Fault.REFUSED_ADDRESS
    assert server.connections == 0


async def test_the_connection_goes_to_the_judged_address_and_not_to_a_second_answer(serve):
    """DNS rebinding: whoever resolves twice would judge the first answer and connect to the second."""
    server = await serve(plain())
    names = Names(["127.0.0.1"], ["127.0.0.99"])
    out = Egress(resolver=names, tls=TLS)
    assert await ask(out, f"http://server.test:{server.port}/") == (200, b"ok")
    await out.close()
    assert names.asked == [("server.test", server.port)]
    assert server.heard[0].header("host") == f"server.test:{server.port}"


async def test_an_answer_that_turns_inward_is_judged_anew(serve):
    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await serve(reply)
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    out = Egress(resolver=names, tls=TLS)
    await ask(out, f"http://server.test:{server.port}/")
    error = await failure(out, f"http://server.test:{server.port + 1}/")
    await out.close()
    assert error.kind is Fault.REFUSED_ADDRESS


async def test_a_connection_kept_under_an_exception_serves_nobody_without_it(serve, egress):
    server = await serve(plain())
    url = f"http://127.0.0.1:{server.port}/"
    await ask(egress, url)
    error = await failure(egress, url.replace("http:", "https:"), allow=PUBLIC_ONLY)
    assert error.kind is Fault.REFUSED_ADDRESS
    other = parse([f"server.test:{server.port}"])
    assert isinstance(other, Exceptions)
    await ask(egress, f"http://server.test:{server.port}/", allow=LOCAL)
    await ask(egress, f"http://server.test:{server.port}/", allow=other)
    assert server.connections == 3


@pytest.mark.parametrize("url", ["http://example.test/", "http://8.8.8.8/"])
async def test_plain_http_is_for_listed_hosts_only(url, egress):
    error = await failure(egress, url)
    assert error.kind is Fault.BAD_REQUEST
    assert "use https" in str(error)


@pytest.mark.parametrize(
    "url",
    ["", "/x", "server.test", "ftp://server.test/", "file:///etc/passwd", "https://", "https:///x", "https://h:0/",
     "https://h:99999/", "https://user:pw@server.test/", "https://user@server.test/", "https://a b/", "https://h/\r\nX: y",
     "https://server.test/a b", "https://a%2eb/", "https://h\\@evil.test/", "https://-/", "https://a..b/"],
)  # fmt: skip
async def test_what_is_no_plain_url_is_refused_before_anything_is_resolved(url):
    names = Names(["8.8.8.8"])
    out = Egress(resolver=names, tls=TLS)
    error = await failure(out, url)
    await out.close()
    assert error.kind is Fault.BAD_REQUEST
    assert names.asked == []


class Nowhere:
    async def resolve(self, host, port):
        return []


@pytest.mark.parametrize("resolver", [Names([]), Nowhere()])
async def test_a_name_without_an_address_is_told_as_such(resolver):
    out = Egress(resolver=resolver, tls=TLS)
    error = await failure(out, "https://gone.test/")
    await out.close()
    assert (error.kind, error.sent) == (Fault.DNS, False)


async def test_the_system_resolver_is_judged_too():
    out = Egress()
    error = await failure(out, "https://localhost/", allow=PUBLIC_ONLY)
    await out.close()
    assert error.kind is Fault.REFUSED_ADDRESS


async def test_environment_proxies_are_not_used(serve, egress, monkeypatch):
    server = await serve(plain())
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await ask(egress, server.url) == (200, b"ok")


# --- TLS


async def test_a_verified_server_is_spoken_to(serve, certificates):
    server = await serve(plain(), tls=certificates.server)
    out = Egress(resolver=Names(["127.0.0.1"]), tls=certificates.client)
    assert await ask(out, f"https://server.test:{server.port}/") == (200, b"ok")
    assert await ask(out, f"https://server.test:{server.port}/") == (200, b"ok")
    await out.close()
    assert server.connections == 1


async def test_an_unknown_certificate_is_refused_also_on_a_listed_host(serve, certificates):
    server = await serve(plain(), tls=certificates.server)
    out = Egress(resolver=Names(["127.0.0.1"]), tls=TLS)
    error = await failure(out, f"https://server.test:{server.port}/")
    await out.close()
    assert (error.kind, error.sent) == (Fault.TLS, False)
    assert "certificate is not valid" in str(error)
    assert server.heard == []


async def test_a_certificate_for_another_name_is_refused(serve, certificates):
    server = await serve(plain(), tls=certificates.server)
    out = Egress(resolver=Names(["127.0.0.1"]), tls=certificates.client)
    error = await failure(out, f"https://turns.test:{server.port}/")
    await out.close()
    assert error.kind is Fault.TLS
    assert server.heard == []


def test_a_context_that_does_not_verify_is_not_accepted():
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(ValueError, match="does not verify"):
        Egress(tls=context)


# --- what it sends


async def test_only_host_agent_and_the_given_headers_are_sent(serve, egress):
    server = await serve(plain(headers="Set-Cookie: a=b\r\n"))
    await ask(egress, server.url + "/p?q=1", method="POST", headers={"X-Mine": "1"}, body=b"{}")
    await ask(egress, server.url)
    first, second = server.heard
    assert {name.lower() for name, _ in first.headers} == {"host", "user-agent", "x-mine", "content-length"}
    assert {name.lower() for name, _ in second.headers} == {"host", "user-agent"}  # and no cookie that came back
    assert first.header("user-agent") == "ostiary"
    assert (first.method, first.target, first.body) == ("POST", "/p?q=1", b"{}")


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"}, {"X": "a\nb"}, {"X": "a\rb"}, {"X": "a\0b"}, {"X\r\nY": "b"}, {"X Y": "b"}, {"": "b"},
        {"X:": "b"}, {"X": "é"}, {"é": "x"}, {"Host": "evil.test"}, {"connection": "close"}, {"Transfer-Encoding": "chunked"},
        {"content-length": "3"}, {"TE": "trailers"}, {"Upgrade": "h2c"}, {"Proxy-Authorization": "x"}, {"Keep-Alive": "1"},
        {"Expect": "100-continue"}, {"Trailer": "x"},
    ],
)  # fmt: skip
async def test_headers_that_could_break_the_framing_are_refused(headers, serve, egress):
    server = await serve(plain())
    error = await failure(egress, server.url, headers=headers)
    assert (error.kind, error.sent) == (Fault.BAD_REQUEST, False)
    assert server.connections == 0


async def test_a_large_body_is_sent_whole(serve, egress):
    server = await serve(plain())
    body = bytes(range(256)) * 20_000
    assert await ask(egress, server.url, method="POST", body=body) == (200, b"ok")
    assert server.heard[0].body == body


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent", "300 Many"])
async def test_a_redirect_is_an_error_that_names_only_the_host(status, serve, egress):
    server = await serve(plain(status=status, headers="Location: https://u:pw@evil.test/x?token=s3cret\r\n"))
    error = await failure(egress, server.url, method="POST", body=b"x")
    assert error.kind is Fault.REDIRECT
    assert "`evil.test`" in str(error)
    assert "s3cret" not in str(error)
    assert "pw" not in str(error)
    assert len(server.heard) == 1


@pytest.mark.parametrize("location", ["", "Location: /elsewhere\r\n", "Location: http://[\r\n", "Location: \x00\r\n"])
async def test_an_unreadable_redirect_is_an_error_too(location, serve, egress):
    server = await serve(plain(status="302 Found", headers=location))
    assert (await failure(egress, server.url)).kind in {Fault.REDIRECT, Fault.GARBLED}

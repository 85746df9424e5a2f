from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import threading
import time

import pytest

from pipeline.alerts import AlertEvent
from pipeline.errors import NotifyError, SettingsError
from pipeline.notify import SIGNATURE_HEADER, WebhookChannel, signature
from pipeline.notify.address import is_private, says_private


def post(channel, event):
    asyncio.run(channel.send(event.event_id, event.to_json()))


def refused(channel, event):
    with pytest.raises(NotifyError) as caught:
        post(channel, event)
    assert "s3cret" not in str(caught.value)
    return caught.value


def test_the_event_arrives_whole_with_its_key_and_signature(receiver, make_event):
    event = make_event()
    post(WebhookChannel(receiver.url, "key"), event)
    (request,) = receiver.requests
    assert request.path == "/hook/s3cret-token"
    assert AlertEvent.from_json(request.body) == event
    assert json.loads(request.body)["text"] == "warning firing: BTCUSDT price is 60123.4, above 60000 [dear €]"
    assert request.headers["idempotency-key"] == event.event_id
    assert request.headers["content-type"] == "application/json"
    expected = "sha256=" + hmac.new(b"key", request.body, hashlib.sha256).hexdigest()
    assert request.headers[SIGNATURE_HEADER.lower()] == expected


def test_without_a_secret_there_is_no_signature(receiver, make_event):
    post(WebhookChannel(receiver.url), make_event())
    assert SIGNATURE_HEADER.lower() not in receiver.requests[0].headers


@pytest.mark.parametrize(
    ("status", "retryable"), [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (410, False)]
)
def test_which_answers_are_worth_another_try(receiver, make_event, status, retryable):
    receiver.plan = [status]
    error = refused(WebhookChannel(receiver.url), make_event())
    assert error.retryable is retryable
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("999999", 3600.0), ("-1", 0.0), ("nan", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_retry_after_is_honoured_within_reason(receiver, make_event, text, seconds):
    receiver.plan, receiver.headers = [429], {"Retry-After": text}
    assert refused(WebhookChannel(receiver.url), make_event()).retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_to_private_addresses_are_not_followed(receiver, make_event, status):
    receiver.plan, receiver.headers = [status], {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    error = refused(WebhookChannel(receiver.url), make_event())
    assert not error.retryable
    assert "redirects to a private address" in str(error)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_followed_where_that_is_allowed_as_the_same_request(receiver, make_event, status):
    receiver.plan, receiver.headers = [status, status, 204], {"Location": "/elsewhere"}
    event = make_event()
    post(WebhookChannel(receiver.url, "key", private=True), event)
    assert [request.path for request in receiver.requests] == ["/hook/s3cret-token", "/elsewhere", "/elsewhere"]
    assert len({request.body for request in receiver.requests}) == 1
    assert {request.headers[SIGNATURE_HEADER.lower()] for request in receiver.requests} == {signature("key", event.to_json().encode())}


@pytest.mark.parametrize(
    ("status", "location", "part"),
    [
        (302, "/again", "redirects more than 3 times"),
        (302, "ftp://s3cret/x", "no http or https address"),
        (303, "/again", "which is not followed"),
        (302, None, "which is not followed"),
    ],
)
def test_redirects_that_lead_nowhere(receiver, make_event, status, location, part):
    receiver.plan, receiver.headers = [status] * 9, {"Location": location} if location else {}
    error = refused(WebhookChannel(receiver.url, private=True), make_event())
    assert not error.retryable
    assert part in str(error)
    assert len(receiver.requests) == (4 if "more" in part else 1)


def test_a_name_of_the_internet_with_a_private_address_is_not_connected_to(receiver, make_event, monkeypatch):
    answers = []

    async def getaddrinfo(self, host, port, **_):
        answers.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "8.8.8.8")]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    url = f"http://hooks.example.com:{receiver.port}/hook/s3cret-token"
    error = refused(WebhookChannel(url), make_event())
    assert error.retryable
    assert "private address" in str(error)
    assert receiver.requests == []
    # where it is allowed the connection goes to the address that was judged: the name is resolved once
    answers.clear()
    post(WebhookChannel(url, private=True), make_event())
    assert answers == ["hooks.example.com"]
    assert receiver.requests[0].headers["host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("0.0.0.0", True),
        ("100.64.0.1", True),
        ("224.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:127.0.0.1", True),
        ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True),
        ("nonsense", True),
        ("8.8.8.8", False),
        ("2606:4700:4700::1111", False),
        ("::ffff:8.8.8.8", False),
    ],
)
def test_which_addresses_are_private(address, private):
    assert is_private(address) is private


def test_hosts_that_say_that_they_are_private():
    assert all(map(says_private, ["127.0.0.1", "localhost", "receiver", "x.internal", "::1", "8.8.8.8"]))
    assert not any(map(says_private, ["example.com", "hooks.example.com.", "internal.example.org"]))


@pytest.mark.parametrize("slow", ["delay_s", "drip_s"])
def test_a_slow_server_is_given_up_in_time(receiver, make_event, slow):
    setattr(receiver, slow, {"delay_s": 30.0, "drip_s": 0.05}[slow])
    begin = time.monotonic()
    error = refused(WebhookChannel(receiver.url, timeout_s=0.3), make_event())
    assert error.retryable
    assert "did not answer within 0.3 s" in str(error)
    assert time.monotonic() - begin < 15


def test_nobody_there(make_event):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refused(WebhookChannel(f"http://127.0.0.1:{port}/s3cret"), make_event())
    assert error.retryable
    assert "could not be reached (ConnectError)" in str(error)


def test_a_host_name_that_cannot_be(make_event):
    assert refused(WebhookChannel(f"http://{'x' * 70}.invalid/s3cret"), make_event()).retryable


def test_something_that_is_no_web_server(make_event):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        error = refused(WebhookChannel(f"http://127.0.0.1:{server.getsockname()[1]}/s3cret"), make_event())
        thread.join()
    assert error.retryable


@pytest.mark.parametrize(
    "url", ["ftp://h/s3cret", "s3cret", "", "http://", "http:///s3cret", "http://[s3cret", "https://h:99999999/s3cret"]
)
def test_what_is_no_address_is_refused_without_repeating_it(url):
    with pytest.raises(SettingsError) as caught:
        WebhookChannel(url)
    assert "s3cret" not in str(caught.value)


def test_secrets_are_in_no_log_and_no_repr(receiver, make_event, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    receiver.plan = [204, 500, 302]
    channel = WebhookChannel(receiver.url.replace("127.0.0.1", "user:s3cret@127.0.0.1"), "s3cret-key")
    post(channel, make_event())
    refused(channel, make_event())
    refused(channel, make_event())
    said = caplog.text + repr(channel) + "".join(str(vars(record)) for record in caplog.records)
    assert "s3cret" not in said
    logging.getLogger("httpx").setLevel(logging.NOTSET)

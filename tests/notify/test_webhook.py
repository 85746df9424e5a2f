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
from pipeline.notify import SIGNATURE_HEADER, WebhookChannel


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
def test_redirects_are_not_followed(receiver, make_event, status):
    receiver.plan, receiver.headers = [status], {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    error = refused(WebhookChannel(receiver.url), make_event())
    assert not error.retryable
    assert "redirect" in str(error)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("slow", ["delay_s", "drip_s"])
def test_a_slow_server_is_given_up_in_time(receiver, make_event, slow):
    setattr(receiver, slow, {"delay_s": 30.0, "drip_s": 0.05}[slow])
    begin = time.monotonic()
    error = refused(WebhookChannel(receiver.url, timeout_s=0.3), make_event())
    assert error.retryable
    assert "did not answer within 0.3 s" in str(error)
    assert time.monotonic() - begin < 2


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

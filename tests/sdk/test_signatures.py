"""Signatures: the official validator accepts what the emulator signs; bluetick accepts what the SDK signs, and nothing
that differs from it by a single bit.
"""

import concurrent.futures
import socket
import urllib.parse
from collections import Counter

import bluetick
from twilio.request_validator import RequestValidator

FORM = "application/x-www-form-urlencoded"
# Enough to keep two cores busy, few enough for any machine.
CONCURRENCY = 8
# The goal that this file holds; the vectors below give more.
AT_LEAST = 5_000


def test_the_official_validator_accepts_what_the_emulator_signs(client, emulator, mailbox):
    validator = RequestValidator(emulator.auth_token)
    emulator.control("webhooks", inbound_url=f"{mailbox.url}/inbound?shop=1")
    inbound = {"from": "+4915100000001", "body": "Grüße & 1+1=2 👍", "extra": {"Zusatz": " ä "}}
    emulator.control("inbound", **inbound)
    for status_callback in (f"{mailbox.url}/status?x=a%20b&y='", f"{mailbox.url}/status#rc=3&rp=5xx"):
        client.messages.create(
            to="whatsapp:+4915100000001", from_="whatsapp:+15550001111", body="hi", status_callback=status_callback
        )
    assert emulator.ledger(callbacks=7, settled="true", wait="20s")["reached"]

    assert len(mailbox.posts) == 7
    for path, headers, body in mailbox.posts:
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        signature = headers["X-Twilio-Signature"]
        assert "#" not in path
        assert validator.validate(mailbox.url + path, form, signature)
        assert not validator.validate(mailbox.url + path, form | {"MessageStatus": "forged"}, signature)


def test_bluetick_accepts_what_the_sdk_signs_and_no_single_bit_else(demo):
    vectors = [
        Signed(demo, "/webhooks/twilio/status", status_form(demo, "SM" + "5" * 32)),
        Signed(demo, "/webhooks/twilio/status?shop=7&note=a%2Bb", status_form(demo, "MM" + "6" * 32)),
        Signed(demo, "/webhooks/twilio/inbound", inbound_form(demo, "SM" + "7" * 32)),
    ]
    forged = [forgery for vector in vectors for forgery in vector.forgeries()]
    assert len(forged) >= AT_LEAST

    share = -(-len(forged) // CONCURRENCY)
    shares = [forged[start : start + share] for start in range(0, len(forged), share)]
    with concurrent.futures.ThreadPoolExecutor(CONCURRENCY) as pool:
        answers = list(pool.map(lambda few: post_all(demo, few, vectors), shares))
    statuses = sum((counted for counted, _ in answers), Counter())
    accepted = [name for _, names in answers for name in names]

    print(f"\n{len(forged)} forgeries, each one bit away from a true callback: {len(accepted)} accepted", dict(statuses))
    assert statuses.total() == len(forged)
    assert accepted == []
    # Most must have failed for their signature, not for being no HTTP: the first are told so, the others that they are too many.
    assert statuses[403] > 0
    assert statuses[403] + statuses[429] >= AT_LEAST
    demo.check_alive()


def test_the_signature_command_explains_what_the_sdk_signs(demo, tmp_path):
    url = "https://hooks.example.com/status?x=1"
    form = {"MessageSid": "SM" + "1" * 32, "MessageStatus": "delivered", "Body": "Grüße + &"}
    file = tmp_path / "form.txt"
    file.write_text(urllib.parse.urlencode(form))
    signature = RequestValidator(demo.auth_token).compute_signature(url, form)
    arguments = ("signature", "--token", demo.auth_token, "--url", url, "--form", file, "--signature")
    assert bluetick.run(*arguments, signature)[0] == 0
    code, said = bluetick.run(*arguments, "A" * 27 + "=")
    assert code != 0 and said.strip()
    assert demo.auth_token not in said


def status_form(demo, sid):
    return {
        "AccountSid": demo.account_sid,
        "ApiVersion": "2010-04-01",
        "From": "whatsapp:+15550001111",
        "To": "whatsapp:+4915100000077",
        "MessageSid": sid,
        "SmsSid": sid,
        "MessageStatus": "delivered",
        "SmsStatus": "delivered",
        "Empty": "",
    }


def inbound_form(demo, sid):
    return {
        "AccountSid": demo.account_sid,
        "From": "whatsapp:+4915100000077",
        "To": "whatsapp:+15550001111",
        "MessageSid": sid,
        "Body": "Grüße & 1+1=2 👍",
        "NumMedia": "0",
        "ProfileName": "Sam Example",
        "WaId": "4915100000077",
    }


class Signed:
    """A callback as Twilio would make it, and all its neighbours."""

    def __init__(self, demo, target, form):
        self.target = target.encode()
        self.body = urllib.parse.urlencode(form).encode()
        self.signature = RequestValidator(demo.auth_token).compute_signature(demo.public_url + target, form).encode()
        self.meaning = decoded(self.body)

    def forgeries(self):
        """Every request that differs by one bit, except where two bodies say the same, like %2b and %2B."""
        for signature in flips(self.signature):
            yield self.target, self.body, signature
        for target in flips(self.target):
            yield target, self.body, self.signature
        for body in flips(self.body):
            if decoded(body) != self.meaning:
                yield self.target, body, self.signature

    def request(self):
        return self.target, self.body, self.signature


def flips(text):
    for index, byte in enumerate(text):
        for bit in range(8):
            yield text[:index] + bytes([byte ^ (1 << bit)]) + text[index + 1 :]


def decoded(body):
    pairs = (pair.partition(b"=") for pair in body.replace(b"+", b" ").split(b"&") if pair)
    return sorted((urllib.parse.unquote_to_bytes(name), urllib.parse.unquote_to_bytes(value)) for name, _, value in pairs)


def post_all(demo, forged, true_ones):
    """Posts forgeries over one connection, true callbacks between them; what each was answered, and which were taken."""
    statuses, accepted = Counter(), []
    with Wire(demo.url) as wire:
        for number, forgery in enumerate(forged):
            status = wire.post(*forgery)
            statuses[status] += 1
            if 200 <= status < 300:
                accepted.append(forgery)
            if number % 500 == 0:
                for true_one in true_ones:
                    assert 200 <= wire.post(*true_one.request()) < 300, true_one.request()
    return statuses, accepted


class Wire:
    """HTTP by hand, because no HTTP library sends a broken header or path. Connects again when the server has hung up."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.address = (parts.hostname, parts.port)
        self.host = parts.netloc.encode()
        self.stream = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()

    def hang_up(self):
        if self.stream:
            self.stream.close()
            self.socket.close()
        self.stream = None

    def post(self, target, body, signature):
        """The status; 0 when the server only hung up."""
        head = (
            b"POST " + target + b" HTTP/1.1\r\nHost: " + self.host + b"\r\nContent-Type: " + FORM.encode()
            + b"\r\nX-Twilio-Signature: " + signature + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n"
        )  # fmt: skip
        for is_fresh in (self.stream is None, True):
            if self.stream is None:
                self.socket = socket.create_connection(self.address, timeout=bluetick.PATIENCE)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.stream = self.socket.makefile("rb")
            try:
                self.socket.sendall(head + body)
                status = self.answer()
            except ConnectionError:
                status = 0
            if status == 0:
                self.hang_up()
            # A kept connection may have been closed before this request: that says nothing about it.
            if status or is_fresh:
                return status
        return 0

    def answer(self):
        line = self.stream.readline()
        if not line:
            return 0
        headers = {}
        while (header := self.stream.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            headers[name.strip().lower()] = value.strip().lower()
        self.stream.read(int(headers.get(b"content-length", 0)))
        status = int(line.split()[1])
        if headers.get(b"connection") == b"close" or status == 400:
            self.hang_up()
        return status

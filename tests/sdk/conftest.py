"""What the SDK tests share: the emulator, a quiet demo, and a place that callbacks can be sent to."""

import http.server
import sys
import threading
from pathlib import Path

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

sys.path.insert(0, str(Path(__file__).parent.parent / "process"))
import bluetick


@pytest.fixture(scope="session")
def emulator():
    with bluetick.Emulator() as running:
        yield running


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    with bluetick.Demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


class Redirected(TwilioHttpClient):
    """The SDK's own HTTP client; only the host of Twilio is another."""

    def __init__(self, url):
        super().__init__(timeout=30)
        self.url = url

    def request(self, method, url, *arguments, **keywords):
        assert url.startswith("https://api.twilio.com/"), url
        return super().request(method, self.url + url.removeprefix("https://api.twilio.com"), *arguments, **keywords)


@pytest.fixture
def client(emulator):
    """The official client. The emulator starts anew for each test, with one person having written."""
    emulator.control("reset")
    emulator.control("inbound", **{"from": "+4915100000001", "body": "hello", "webhook": False})
    return Client(emulator.account_sid, emulator.auth_token, http_client=Redirected(emulator.url))


class Mailbox(http.server.ThreadingHTTPServer):
    """Keeps every form posted to it, as it came."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Posted)
        self.posts = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Posted(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """The test says what matters."""


@pytest.fixture
def mailbox():
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()

"""Starts the real binary, talks to it over its sockets, and stops or kills it.

Invariant: nothing sleeps for a time; every wait is for a condition, with a bound.
Not here: what is expected of it; that is in the tests.
"""

import atexit
import base64
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

BINARY = os.environ["BLUETICK_BIN"]
TESTS = Path(os.environ["BLUETICK_TESTS"])
# A debug binary on a busy machine starts in well under a second; past this it hangs.
PATIENCE = 30.0
# How often a condition is looked at.
GLANCE = 0.005
# The most rows of the ledger in one answer.
LEDGER_ROWS = 10_000
# The most messages on one page.
PAGE = 200
# Below the ports the kernel hands out by itself, so that nobody takes ours between a kill and the next start.
PORTS = range(20_000, 30_000)

_running: set["Process"] = set()


@atexit.register
def _end_all():
    for process in list(_running):
        process.kill()


class NeverTrue(AssertionError):
    """A condition did not come true in its time."""


def wait_until(condition, what, within=PATIENCE, glance=GLANCE):
    """The first true value of `condition`; what it was waiting for, or says it is, is in the error."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NeverTrue(f"not within {within:g} s: {what() if callable(what) else what}")
        pause.wait(glance)


def free_port():
    """A port nobody listens on."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port among 100")


class Process:
    """One running binary; its log is a file, shown when it ends unexpectedly."""

    def __init__(self, name, *arguments, stdout=None, **environment):
        logs = TESTS / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = logs / f"{name}-{os.getpid()}.log"
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "TESTS_RUN_ID", "RUST_BACKTRACE") if key in os.environ}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command(BINARY, *map(str, arguments)),
                stdin=subprocess.DEVNULL,
                stdout=stdout or log,
                stderr=log,
                env=inherited | environment,
            )
        _running.add(self)

    def command(self, *arguments):
        """What is started: the program itself, or something that starts it."""
        return arguments

    def check_alive(self):
        """Fails with the end of the log if the process is gone."""
        if self.child.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.child.returncode}:\n{self.last_words()}")

    def last_words(self):
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self):
        """kill -9."""
        self.child.kill()
        self.child.wait()
        _running.discard(self)

    def stop(self):
        """SIGTERM, and the exit code."""
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(PATIENCE)
        _running.discard(self)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.kill()
        _running.discard(self)


def request(method, url, body=None, headers=None, connection=None, timeout=PATIENCE):
    """One HTTP request: (status, headers, bytes). With a `connection`, on that one."""
    parts = urllib.parse.urlsplit(url)
    own = connection is None
    if own:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        if own:
            connection.close()


def call(method, url, document=None, headers=None, connection=None):
    """One JSON request: (status, document or None)."""
    headers = {"Accept": "application/json"} | (headers or {})
    body = None
    if document is not None:
        body = json.dumps(document).encode()
        headers["Content-Type"] = "application/json"
    status, _, content = request(method, url, body, headers, connection)
    return status, json.loads(content) if content[:1] in (b"{", b"[") else None


class Emulator(Process):
    """`bluetick emulate`: the small Twilio, and its control API."""

    def __init__(self, name="emulator"):
        super().__init__(name, "emulate", "--port", "0", stdout=subprocess.PIPE)
        line = self.child.stdout.readline()
        if not line:
            self.child.wait(PATIENCE)
            self.check_alive()
        said = json.loads(line)
        self.url = said["url"]
        self.account_sid = said["account_sid"]
        self.auth_token = said["auth_token"]
        self.control_url = said["control_url"]

    def control(self, what, **document):
        status, answer = call("POST", f"{self.control_url}/{what}", document)
        assert status < 300, (what, status, answer)
        return answer

    def ledger(self, **query):
        status, answer = call("GET", f"{self.control_url}/ledger?{urllib.parse.urlencode(query)}")
        assert status == 200, answer
        return answer

    def account(self, method, path, token):
        """One call of the API by the account itself, with one of its tokens."""
        basic = base64.b64encode(f"{self.account_sid}:{token}".encode()).decode()
        status, answer = call(method, self.url + path, headers={"Authorization": f"Basic {basic}"})
        assert status < 300, (path, status, answer)
        return answer

    def second_token(self, token):
        """A secondary auth token, as a person makes it in the console."""
        return self.account("POST", "/v1/AuthTokens/Secondary", token)["secondary_auth_token"]

    def new_api_key(self, token):
        """An API key as bluetick is given it: SID:secret."""
        key = self.account("POST", f"/2010-04-01/Accounts/{self.account_sid}/Keys.json", token)
        return f"{key['sid']}:{key['secret']}"

    def counts(self):
        """How much of everything there was."""
        return self.ledger(limit=0)["counts"]

    def rows(self, kind):
        """The whole ledger: its `creates` or its `callbacks`."""
        rows, query = [], {"limit": LEDGER_ROWS}
        while True:
            page = self.ledger(**query)[kind]
            rows += page
            if len(page) < LEDGER_ROWS:
                return rows
            query["after"] = page[-1]["seq"]

    def wait_settled(self, within=PATIENCE):
        """Waits until nothing is planned and no callback under way."""
        wait_until(lambda: self.ledger(limit=0, settled="true", wait="5s")["reached"], "the emulator is settled", within)


class Bluetick(Process):
    """A running bluetick of any kind: where it is, and the keys to it."""

    url: str
    public_url: str
    api_key: str
    account_sid: str
    auth_token: str
    admin: tuple[str, str]
    # The session of the pages, once one is needed.
    _cookie: str | None = None

    def api(self, method, path, document=None, headers=None, connection=None):
        """One call of the API with the key."""
        headers = {"Authorization": f"Bearer {self.api_key}"} | (headers or {})
        return call(method, self.url + path, document, headers, connection)

    def pages_api(self, path):
        """One read as the pages do it."""
        if self._cookie is None:
            body = json.dumps(dict(zip(("user", "password"), self.admin))).encode()
            headers = {"Content-Type": "application/json"}
            status, headers, _ = request("POST", f"{self.url}/admin/api/session", body, headers)
            assert status == 204, status
            self._cookie = headers["Set-Cookie"].split(";")[0]
        return call("GET", f"{self.url}/admin/api{path}", headers={"Cookie": self._cookie})

    def wait_ready(self):
        """Waits for /readyz to say yes."""

        def is_ready():
            self.check_alive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                return request("GET", f"{self.url}/readyz", timeout=2)[0] == 200

        wait_until(is_ready, f"{self.name} is ready")

    def message(self, id_or_sid):
        """One message. Whoever reads many one after another is told to wait now and then, and does."""

        def read():
            status, message = self.api("GET", f"/v1/messages/{id_or_sid}")
            assert status in (200, 429), (id_or_sid, status, message)
            return message if status == 200 else None

        return wait_until(read, f"{id_or_sid} may be read", glance=1)

    def messages(self, **query):
        """All messages of a list, newest first."""
        return self._pages(self.api, "/v1/messages", query)

    def inbound(self):
        """All that people wrote, newest first."""
        return self._pages(lambda _, path: self.pages_api(path), "/inbound", {})

    def queue(self):
        """How many messages are in which open state."""
        status, house = self.api("GET", "/v1/status")
        assert status == 200, house
        return {state: house["queue"][state] for state in ("pending", "in_flight", "unknown", "held")}

    @staticmethod
    def _pages(get, path, query):
        query = query | {"limit": PAGE}
        rows = []
        while True:
            status, page = get("GET", f"{path}?{urllib.parse.urlencode(query)}")
            assert status == 200, page
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            query["cursor"] = page["next_cursor"]


class Demo(Bluetick):
    """`bluetick demo --quiet`: bluetick and emulator in one process, no synthetic traffic."""

    def __init__(self, data, name="demo"):
        data = Path(data)
        super().__init__(name, "demo", "--listen", "127.0.0.1:0", "--emulator", "127.0.0.1:0", "--data", data, "--quiet")

        def written():
            self.check_alive()
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                return json.loads((data / "demo.json").read_text())

        said = wait_until(written, "demo.json is written")
        for key in ("url", "public_url", "emulator_url", "api_key", "account_sid", "auth_token", "control_url"):
            setattr(self, key, said[key])
        self.admin = (said["admin_user"], said["admin_password"])
        self.wait_ready()


class Serve(Bluetick):
    """`bluetick serve` in front of an emulator, configured by its environment alone; `policy` is that section."""

    def __init__(self, emulator, data, port, name="serve", policy=None, **environment):
        self.data = Path(data)
        self.url = self.public_url = f"http://127.0.0.1:{port}"
        self.api_key = "key-of-the-outer-tests-0123456789abcdef"
        self.admin = ("admin", "password-of-the-outer-tests")
        self.account_sid, self.auth_token = emulator.account_sid, emulator.auth_token
        configuration = {
            # Whatever file this machine has in the usual places does not count.
            "BLUETICK_CONFIG": os.devnull,
            "BLUETICK__MODE": "sandbox",
            "BLUETICK__PUBLIC_URL": self.public_url,
            "BLUETICK__HTTP__LISTEN": f"127.0.0.1:{port}",
            "BLUETICK__HTTP__API_KEY": self.api_key,
            "BLUETICK__HTTP__ADMIN_USER": self.admin[0],
            "BLUETICK__HTTP__ADMIN_PASSWORD": self.admin[1],
            "BLUETICK__STORE__DIR": str(self.data),
            "BLUETICK__TWILIO__API_URL": emulator.url,
            "BLUETICK__TWILIO__ACCOUNT_SID": self.account_sid,
            "BLUETICK__TWILIO__AUTH_TOKEN": self.auth_token,
            "BLUETICK__TWILIO__FROM": "whatsapp:+15550001111",
        }
        policy = {f"BLUETICK__POLICY__{key.upper()}": str(value) for key, value in (policy or {}).items()}
        super().__init__(name, "serve", **(configuration | policy | environment))


def run(*arguments, within=PATIENCE, given=""):
    """One command of the binary to its end, with what it is given to read: (exit code, what it printed)."""
    done = subprocess.run(
        [BINARY, *map(str, arguments)], input=given, capture_output=True, text=True, timeout=within
    )
    return done.returncode, done.stdout + done.stderr

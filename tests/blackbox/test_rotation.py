"""Every secret rotates while messages go out and callbacks come home: no program is refused, no callback is lost; and in an
emergency a secret is good for nothing when the answer is there.

    ROTATIONS=100 tests/run blackbox
"""

import base64
import contextlib
import http.client
import json
import os
import threading
import time
import urllib.parse

import bluetick
import pytest

ROTATIONS = int(os.environ.get("ROTATIONS") or 5)
# Fast enough that something is under way at every moment of a rotation.
SENDERS, CALLERS = 2, 3
# Seconds that the key before still opens: longer than any of our programs goes on with it on a busy machine.
OVERLAP_S = 5
QUICK = {"reconcile_after_ms": 3_600_000, "pair_every_ms": 1}


@pytest.fixture()
def twilio():
    """An emulator of its own: its tokens change."""
    with bluetick.Emulator("emulator-rotation") as running:
        yield running


class Load:
    """Programs that go on whatever happens, and note every answer that is none of those they may get."""

    def __init__(self, server):
        self.server, self.stop, self.refused = server, threading.Event(), []
        self.sent, self.called, self.fresh = [], 0, 0
        self.lock = threading.Lock()
        self.threads = []

    def __enter__(self):
        for number in range(SENDERS):
            self.threads.append(threading.Thread(target=self.keep_sending, args=[number], daemon=True))
        for _ in range(CALLERS):
            self.threads.append(threading.Thread(target=self.keep_calling, daemon=True))
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(bluetick.PATIENCE)

    def connect(self):
        parts = urllib.parse.urlsplit(self.server.url)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=bluetick.PATIENCE)

    def keep_sending(self, number):
        connection, count = self.connect(), 0
        while not self.stop.is_set():
            count += 1
            body = {"to": f"+49177{number}{count:05d}0000", "content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "7"}}
            with self.lock:
                key = self.server.api_key
            status, answer = self.server.api("POST", "/v1/messages", body, {"Authorization": f"Bearer {key}"}, connection)
            if status == 202:
                self.sent.append(answer["id"])
            else:
                self.refused.append(("send", status, answer))
            self.stop.wait(0.01)

    def keep_calling(self):
        """Gets a token with a key, and uses it until it is old by a little."""
        connection = self.connect()
        while not self.stop.is_set():
            with self.lock:
                name, key = self.key
                self.fresh += 1
            token = self.token(name, key, connection)
            for _ in range(5):
                status, _ = self.server.api("GET", "/v1/status", None, {"Authorization": f"Bearer {token}"}, connection)
                if status != 200:
                    self.refused.append(("token", status))
                status, _ = self.server.api("GET", "/v1/senders", None, {"Authorization": f"Bearer {key}"}, connection)
                if status != 200:
                    self.refused.append(("key", status))
                self.called += 2
                self.stop.wait(0.01)

    def token(self, name, key, connection=None):
        basic = base64.b64encode(f"{name}:{key}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        own = connection or self.connect()
        own.request("POST", "/oauth/token", body="grant_type=client_credentials", headers=headers)
        answer = own.getresponse()
        content = answer.read()
        if answer.status != 200:
            self.refused.append(("oauth", answer.status, content))
            return "none"
        return json.loads(content)["access_token"]


def secret(server, kind):
    _, all_of_them = server.api("GET", "/v1/secrets")
    return next(one for one in all_of_them["data"] if one["kind"] == kind)


def active(server, kind):
    states = {one["state"]: one["generation"] for one in secret(server, kind)["generations"]}
    return states.get("active")


def reasons(server):
    """What is wrong, and whether bluetick calls itself ready; nothing, as long as it does not listen."""
    server.check_alive()
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, readiness = server.api("GET", "/readyz")
        return {reason["code"] for reason in readiness["reasons"]}, status == 200
    return None


def rotate_key(server, name):
    """The new secret; nothing, while as many before it still open as may."""
    status, answer = server.api("POST", f"/v1/keys/{name}/rotations", {"overlap_s": OVERLAP_S})
    assert status in (201, 409), answer
    return answer if status == 201 else None


def test_every_secret_rotates_under_load(twilio, tmp_path):
    port = bluetick.free_port()
    grace = {"BLUETICK__SECRETS__TWILIO_GRACE_S": "60"}
    # As somebody makes them in the console, with the token that is rotated away first.
    api_keys = [twilio.new_api_key(twilio.auth_token) for _ in range(ROTATIONS)]
    with bluetick.Serve(twilio, tmp_path, port, name="serve-rotation", policy=QUICK, **grace) as server:
        server.wait_ready()
        _, made = server.api("POST", "/v1/keys", {"name": "load", "scopes": ["send", "messages:read"]})
        with (load := Load(server)).lock:
            load.key = (made["id"], made["secret"])
        with load:
            for number in range(1, ROTATIONS + 1):
                status, answer = server.api("POST", "/v1/secrets/twilio_auth_token/rotations", {})
                assert status == 202, answer
                bluetick.wait_until(lambda: active(server, "twilio_auth_token") == number + 1, "the auth token is rotated")
                given = {"value": api_keys[number - 1], "promote": True}
                for kind, document in (("twilio_api_key", given), ("jwt", {})):
                    status, answer = server.api("POST", f"/v1/secrets/{kind}/rotations", document)
                    assert status == 201, answer
                answer = bluetick.wait_until(lambda: rotate_key(server, made["id"]), "an overlap before has ended")
                with load.lock:
                    load.key, load.fresh = (made["id"], answer["secret"]), 0
                # A program is given the new secret within the overlap, as its people would see to.
                bluetick.wait_until(lambda: load.fresh >= 4 * CALLERS, "every program has the new secret")
                status, _ = server.api("POST", "/v1/secrets/master-key/rotations")
                assert status == 204
        assert load.refused == [], load.refused[:5]
        twilio.wait_settled()
        bluetick.wait_until(lambda: not any(server.queue().values()), lambda: f"the queue is empty: {server.queue()}")
        twilio.wait_settled()
        _, house = server.api("GET", "/v1/status")
        assert house["refused_callbacks"] == 0, house
        counts = twilio.counts()
        assert counts["failed"] == 0, counts
        # Nobody asked Twilio for a status (that comes after an hour): every one came by a callback that was let in.
        ends = {message["id"]: message["status"] for message in server.messages()}
        assert len(load.sent) == len(ends) and set(load.sent) == set(ends)
        open_ended = {one: status for one, status in ends.items() if status not in ("delivered", "read")}
        assert not open_ended, list(open_ended.items())[:5]
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said
    # The file of configuration holds the first token still; the master key is the last.
    with bluetick.Serve(twilio, tmp_path, port, name="serve-rotation", policy=QUICK, **grace) as server:
        server.wait_ready()
        assert active(server, "twilio_auth_token") == ROTATIONS + 1
        assert active(server, "twilio_api_key") == ROTATIONS
        assert server.stop() == 0
    print(
        f"{ROTATIONS} rotations of each of 5 secrets, {len(load.sent)} sends, {load.called} calls by key and token: 0 refused, "
        f"0 callbacks refused",
        end=" ",
    )


def test_a_mistyped_secret_takes_nobodys_place_and_a_vault_that_was_given_up_is_no_end(twilio, tmp_path):
    port = bluetick.free_port()
    give = lambda value: bluetick.run(
        "secrets", "rotate", "twilio_auth_token", "--value-stdin", "--promote", "--data", tmp_path, given=value
    )
    with bluetick.Serve(twilio, tmp_path, port, name="serve-mistyped", policy=QUICK) as server:
        server.wait_ready()
        code, said = give("0" * 31 + "9")
        assert code == 1 and "not let in by Twilio" in said, (code, said)
        second = twilio.second_token(server.auth_token)
        code, said = give(second)
        assert code == 0, said
        assert twilio.account("POST", "/v1/AuthTokens/Promote", second)["auth_token"] == second
        assert server.stop() == 0
    code, said = bluetick.run("secrets", "reset", "--yes", "--data", tmp_path)
    assert code == 0, said
    (tmp_path / "master.key").unlink()
    with bluetick.Serve(twilio, tmp_path, port, name="serve-mistyped", policy=QUICK) as server:
        # The file of configuration holds the token of before, which Twilio does not know any more.
        bluetick.wait_until(lambda: reasons(server) is not None, "it listens")
        template = {"content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "7"}}
        _, message = server.api("POST", "/v1/messages", {"to": "+491771230000"} | template)
        stands = lambda: server.api("GET", "/v1/status")[1]["sending"]["state"] != "running"
        bluetick.wait_until(stands, "Twilio has refused the token")
        code, said = give(second)
        assert code == 0, said
        is_there = lambda: server.message(message["id"])["status"] in ("delivered", "read")
        bluetick.wait_until(is_there, "what waited goes by itself")
        assert server.stop() == 0


def test_what_is_mistyped_in_the_configuration_takes_nobodys_place_and_is_said(twilio, tmp_path):
    port, first, wrong = bluetick.free_port(), twilio.auth_token, "0" * 31 + "9"
    template = {"to": "+491771230000", "content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "7"}}
    start = lambda token: bluetick.Serve(
        twilio, tmp_path, port, name="serve-configured", policy=QUICK, BLUETICK__TWILIO__AUTH_TOKEN=token
    )

    def goes_through(server):
        _, message = server.api("POST", "/v1/messages", template)
        is_there = lambda: server.message(message["id"])["status"] in ("delivered", "read")
        bluetick.wait_until(is_there, "it is sent, and its callbacks are let in")

    with start(wrong) as server:
        bluetick.wait_until(lambda: reasons(server) == ({"auth_token_not_let_in"}, False), "it is said that Twilio knows no such token")
        code, said = bluetick.run("status", "--data", tmp_path)
        assert code == 0 and "Twilio does not let in" in said and "secrets rotate" in said, (code, said)
        status, answer = server.api("POST", "/v1/secrets/twilio_auth_token/rotations", {"value": first, "promote": True})
        assert status == 201, answer
        bluetick.wait_until(lambda: reasons(server) == (set(), True), "it is put right")
        goes_through(server)
        assert server.stop() == 0
    with start("0" * 31 + "8") as server:
        bluetick.wait_until(lambda: reasons(server) == ({"auth_token_not_let_in"}, True), "it is said, and the kept one goes on")
        goes_through(server)
        assert server.stop() == 0
    second = twilio.second_token(first)
    twilio.account("POST", "/v1/AuthTokens/Promote", second)
    with start(second) as server:
        server.wait_ready()
        goes_through(server)
        bluetick.wait_until(lambda: reasons(server) == (set(), True), "the new one is used")
        server.api("POST", "/v1/secrets/twilio_auth_token/revocation")
        bluetick.wait_until(lambda: reasons(server) == ({"no_auth_token", "sending_paused"}, False), "none is in use")
        third = twilio.second_token(second)
        twilio.account("POST", "/v1/AuthTokens/Promote", third)
        server.api("POST", "/v1/secrets/twilio_auth_token/rotations", {"value": third, "promote": True})
        began = time.monotonic()
        bluetick.wait_until(lambda: reasons(server) == ({"sending_paused"}, True), "one is in use")
        assert time.monotonic() - began < 5, "it was looked for, not waited for"
        assert server.stop() == 0


def test_an_emergency_revocation_holds_when_it_is_answered(twilio, tmp_path):
    slowest = 0.0
    with bluetick.Serve(twilio, tmp_path, bluetick.free_port(), name="serve-emergency", policy=QUICK) as server:
        server.wait_ready()
        load = Load(server)
        for _ in range(5):
            _, made = server.api("POST", "/v1/keys", {"name": "stolen", "scopes": ["messages:read"]})
            token = load.token(made["id"], made["secret"])
            use = lambda secret: server.api("GET", "/v1/status", headers={"Authorization": f"Bearer {secret}"})[0]
            assert (use(token), use(made["secret"])) == (200, 200)
            began = time.monotonic()
            assert server.api("POST", "/v1/secrets/jwt/revocation")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
            assert (use(token), use(made["secret"])) == (401, 200)
            began = time.monotonic()
            assert server.api("DELETE", f"/v1/keys/{made['id']}")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
            assert use(made["secret"]) == 401
        code, said = bluetick.run("secrets", "revoke", "twilio_auth_token", "--now", "--data", tmp_path)
        assert code == 0 and "bluetick resume" in said, said
        _, message = server.api("POST", "/v1/messages", {"to": "+491771230000", "body": "x"})
        _, house = server.api("GET", "/v1/status")
        assert house["sending"]["state"] != "running", house["sending"]
        assert server.message(message["id"])["status"] == "pending"
        assert twilio.rows("creates") == []
        assert server.stop() == 0
    print(f"revoked within {slowest * 1000:.0f} ms", end=" ")

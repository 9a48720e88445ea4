"""A canary phone number, text and secret put through every walk: none sings in a log, a metric, an alert, the audit log or the
state of the house, and no secret in any answer but the one that hands it out.
"""

import json
import os
import resource
import signal
import subprocess
import urllib.parse

import bluetick
import pytest
from twilio.request_validator import RequestValidator

# Four zeros at the end: to these numbers the emulator is as it should be.
PEOPLE = [f"whatsapp:+491530{number:03d}0000" for number in range(20)]
TEMPLATE = {"content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "17"}}
SHOP = "whatsapp:+15550001111"
CANARY = "kanarienvogel"
UNKNOWN_TOKEN = "cafe0123cafe0123cafe0123cafe0123"
API_KEY = "SK00000000000000000000000000000042:kanarie-secret-of-a-key"
WRONG = "00001111222233334444555566667777"


class Walks:
    """Everything that can be asked for, and every answer that is no success."""

    def __init__(self, server):
        self.server, self.problems = server, []
        # The account's next token, once there is one.
        self.next_token = None

    def call(self, method, path, document=None, key=None, expected=None):
        status, answer = self.server.api(method, path, document, key and {"Authorization": f"Bearer {key}"})
        if status >= 400:
            self.problems.append(json.dumps(answer))
        assert expected is None or status == expected, (path, status, answer)
        return answer

    def form(self, path, fields, token=None, signed_for=None, **headers):
        """A webhook as Twilio posts it, or as somebody who plays Twilio does."""
        if token:
            url = f"{signed_for or self.server.public_url}{path}"
            headers["X-Twilio-Signature"] = RequestValidator(token).compute_signature(url, fields)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode(fields)
        status, _, content = bluetick.request("POST", f"{self.server.url}{path}", body, headers)
        if status >= 400:
            self.problems.append(content.decode())
        return status


def test_no_canary_sings(tmp_path):
    with bluetick.Emulator("emulator-canary") as emulator:
        port = bluetick.free_port()
        settings = {"BLUETICK__LOG__LEVEL": "trace", "BLUETICK__ARCHIVE__AFTER_DAYS": "1"}
        with bluetick.Serve(emulator, tmp_path, port, name="serve-canary", **settings) as server:
            server.wait_ready()
            walks = Walks(server)
            shown = [walk(emulator, walks) for walk in (messages, people, secrets, strangers)]
            shown += [bluetick.request("GET", f"{server.url}{path}")[2].decode() for path in ("/readyz", "/healthz")]
            bearer = {"Authorization": f"Bearer {server.api_key}"}
            shown.append(bluetick.request("GET", f"{server.url}/metrics", headers=bearer)[2].decode())
            shown += [json.dumps(walks.call("GET", path, expected=200)) for path in ("/v1/status", "/v1/audit?limit=500", "/v1/jobs")]
            assert server.stop() == 0
            log = server.log.read_text(errors="replace")
        handed_out = shown[2]
    assert len(log) > 10_000 and "a log-in failed" in log, "a trace says much"
    assert "bluetick_messages" in "".join(shown[4:]) and "secret.rotated" in "".join(shown[4:])
    all_secrets = [server.auth_token, server.api_key, server.admin[1], UNKNOWN_TOKEN, walks.next_token, API_KEY.split(":")[1], WRONG, *handed_out]
    numbers = [to.removeprefix("whatsapp:+") for to in PEOPLE]
    quiet = {"the log": log, "what is shown of the house": "".join(shown[4:])}
    for place, text in quiet.items():
        assert [word for word in [CANARY, *all_secrets, *numbers] if word in text] == [], place
    assert len(walks.problems) >= 15, len(walks.problems)
    assert [secret for secret in all_secrets if secret in "".join(walks.problems)] == []


def test_a_crash_leaves_no_core(tmp_path, monkeypatch):
    """The control shows that this machine would write one."""
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_CORE)
    with bluetick.Emulator("emulator-core") as emulator:
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        try:
            control = subprocess.Popen(["sleep", "60"])
            server = bluetick.Serve(emulator, tmp_path / "data", bluetick.free_port(), name="serve-core")
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, before)
        with server:
            server.wait_ready()
            dumped = leaves_core(server.child.pid)
    if not leaves_core(control.pid):
        pytest.skip("this machine writes no core dumps")
    assert not dumped


def leaves_core(pid):
    os.kill(pid, signal.SIGABRT)
    return os.WCOREDUMP(os.waitpid(pid, 0)[1])


def messages(emulator, walks):
    """Sent, refused, failed, retried, read."""
    emulator.control("webhooks", inbound_url=f"{walks.server.public_url}/webhooks/twilio/inbound")
    emulator.control("chaos", error_after=0.3, fails={"63018": 0.3})
    for to in PEOPLE:
        emulator.control("inbound", **{"from": to.removeprefix("whatsapp:"), "body": f"{CANARY} from a person"})
        template = TEMPLATE | {"variables": {"1": CANARY, "2": "17"}}
        walks.call("POST", "/v1/messages", {"to": to, "from": SHOP} | template, expected=202)
        walks.call("POST", "/v1/messages", {"to": to, "from": SHOP, "body": CANARY}, expected=202)
    walks.call("POST", "/v1/messages", {"to": PEOPLE[0], "from": CANARY}, expected=422)
    walks.call("GET", f"/v1/messages?to={PEOPLE[0]}&limit=none", expected=400)
    walks.call("POST", "/v1/retries", {"dry_run": True, "filter": {"to": PEOPLE[1]}}, expected=200)
    emulator.control("chaos")
    emulator.wait_settled()


def people(emulator, walks):
    """Looked at, opted out, exported, erased; pauses, backups and the archive."""
    one = urllib.parse.quote(PEOPLE[0])
    walks.call("GET", f"/v1/contacts/{one}/metrics", expected=200)
    walks.call("GET", f"/v1/contacts/{one}/export", expected=200)
    walks.call("PUT", f"/v1/contacts/{one}/opt-out", {"note": CANARY}, expected=200)
    walks.call("DELETE", f"/v1/contacts/{one}", expected=202)
    walks.call("DELETE", f"/v1/contacts/{urllib.parse.quote('whatsapp:+4917900000000')}", expected=404)
    walks.call("POST", "/v1/pauses", {"scope": "all", "note": CANARY}, expected=201)
    walks.call("DELETE", "/v1/pauses/all", expected=204)
    for job in ("archive", "retention", "backup", "reminders"):
        walks.call("POST", f"/v1/jobs/{job}/runs", expected=202)
        bluetick.wait_until(lambda: ended(walks, job), f"{job} is done")


def ended(walks, job):
    jobs = walks.call("GET", "/v1/jobs", expected=200)["data"]
    return next(one for one in jobs if one["name"] == job)["wanted_at"] is None


def secrets(emulator, walks):
    """Made, used, rotated, refused, revoked. What was handed out must be nowhere else."""
    made = walks.call("POST", "/v1/keys", {"name": "canary", "scopes": ["messages:read"]}, expected=201)
    again = walks.call("POST", f"/v1/keys/{made['id']}/rotations", {}, expected=201)
    walks.call("GET", "/v1/status", key=made["secret"], expected=200)
    walks.call("GET", "/v1/keys", key=again["secret"], expected=403)
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": again["secret"]}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = bluetick.request("POST", f"{walks.server.url}/oauth/token", urllib.parse.urlencode(form), headers)
    token = json.loads(answer[2])["access_token"]
    walks.call("GET", "/v1/status", key=token, expected=200)
    for wrong in (token[:-2], made["secret"][:-2] + "AA", f"{token}.{token}", "x" * 2_000):
        walks.call("GET", "/v1/status", key=wrong, expected=401)
    unfit = (("twilio_auth_token", f"{UNKNOWN_TOKEN}:x"), ("twilio_api_key", UNKNOWN_TOKEN), ("jwt", UNKNOWN_TOKEN))
    for kind, value in unfit:
        walks.call("POST", f"/v1/secrets/{kind}/rotations", {"value": value}, expected=422)
    walks.call("POST", "/v1/secrets/twilio_api_key/rotations", {"value": API_KEY}, expected=201)
    given = {"value": UNKNOWN_TOKEN, "promote": True}
    walks.call("POST", "/v1/secrets/twilio_auth_token/rotations", given, expected=422)
    walks.next_token = emulator.second_token(walks.server.auth_token)
    given["value"] = walks.next_token
    walks.call("POST", "/v1/secrets/twilio_auth_token/rotations", given, expected=201)
    recovery = walks.call("POST", "/v1/secrets/recovery-key", expected=201)["recovery_key"]
    walks.call("POST", "/v1/secrets/master-key/rotations", expected=204)
    walks.call("GET", "/v1/secrets", expected=200)
    walks.call("DELETE", f"/v1/keys/{made['id']}", expected=200)
    walks.call("GET", "/v1/status", key=token, expected=401)
    return [made["secret"], again["secret"], token, recovery]


def strangers(emulator, walks):
    """Who plays Twilio, and Twilio where it was told another URL; explained, let in or not."""
    fields = {"MessageSid": "SM" + "5" * 32, "MessageStatus": "sent", "From": SHOP, "To": PEOPLE[2], "Body": CANARY}
    fields["AccountSid"] = walks.server.account_sid
    for path in ("/webhooks/twilio/status", "/webhooks/twilio/inbound"):
        assert walks.form(path, fields) == 403
        assert walks.form(path, fields, token=WRONG) == 403
        assert walks.form(path, fields, token=walks.next_token, signed_for="https://elsewhere.example") == 403
    assert walks.form("/webhooks/twilio/status", fields | {"AccountSid": "AC" + "9" * 32}, token=walks.next_token) == 403
    log_in = json.dumps({"user": CANARY, "password": WRONG}).encode()
    status, _, _ = bluetick.request("POST", f"{walks.server.url}/admin/api/session", log_in, {"Content-Type": "application/json"})
    assert status == 401
    listed = bluetick.wait_until(lambda: listing(walks), "all six are in quarantine")
    for one in listed:
        said = walks.call("GET", f"/v1/quarantine/{one['id']}/diagnosis", expected=200)
        assert not any(secret in json.dumps(said) for secret in (WRONG, walks.next_token, walks.server.auth_token)), said
    assert walks.call("POST", "/v1/quarantine/replays", expected=200) == {"let_in": 0, "still_refused": 6}


def listing(walks):
    data = walks.call("GET", "/v1/quarantine", expected=200)["data"]
    return data if len(data) == 6 else None

"""Backups of a running bluetick, and what a restored one does: it answers as before, sends nothing twice, loses nothing that
waited, and knows of what was sent in between.
"""

import json

import bluetick
import pytest
from wishes import SHOP, template

WAITS = {"settle_ms": 1_500, "reconcile_after_ms": 700, "backoff_first_ms": 50, "backoff_longest_ms": 500}
READS = [
    "/v1/messages?limit=200",
    "/v1/metrics?from=2d&bucket=day",
    "/v1/metrics/errors?from=2d",
    f"/v1/metrics/senders/{SHOP}?from=2d&bucket=day",
    "/v1/inbound?limit=100",
    "/v1/opt-outs",
    "/v1/errors/63016",
]


def start(emulator, data, port, **environment):
    server = bluetick.Serve(emulator, data, port, policy=WAITS, **environment)
    server.wait_ready()
    return server


def send(server, numbers):
    ids = []
    for number in numbers:
        draft = {"to": f"whatsapp:+491550{number:03d}0000", "from": SHOP} | template(number)
        status, message = server.api("POST", "/v1/messages", draft)
        assert status == 202, message
        ids.append(message["id"])
    return ids


def wait_read(server, ids):
    statuses = lambda: {id: server.message(id)["status"] for id in ids}  # noqa: E731
    bluetick.wait_until(lambda: set(statuses().values()) == {"read"}, lambda: f"all are read: {statuses()}", within=60)


def back_up(data):
    code, said = bluetick.run("backup", "create", "--data", data, "--json")
    assert code == 0, said
    return json.loads(said)["file"]


def restore(file, data):
    code, said = bluetick.run("backup", "verify", file)
    assert code == 0 and said.startswith("whole: "), said
    code, said = bluetick.run("backup", "restore", file, "--data", data)
    assert code == 0 and "begins paused" in said, said


def verify(data):
    code, said = bluetick.run("verify", "--data", data)
    assert code == 0, said


def the_job(server):
    return next(job for job in server.api("GET", "/v1/jobs")[1]["data"] if job["name"] == "backup")


@pytest.fixture
def calm(emulator):
    emulator.control("reset")
    yield emulator
    emulator.control("reset")


def test_a_restored_bluetick_answers_as_the_first_one_did(calm, tmp_path):
    port, data, again = bluetick.free_port(), tmp_path / "data", tmp_path / "again"
    with start(calm, data, port) as server:
        calm.control("webhooks", inbound_url=f"{server.public_url}/webhooks/twilio/inbound")
        for number in range(3):
            calm.control("inbound", **{"from": f"+491550{number:03d}0000", "body": "hi" if number else "stop"})
        wait_read(server, send(server, range(1, 20)))
        send(server, [0])
        bluetick.wait_until(lambda: not any(server.queue().values()), "nothing waits")
        paths = READS + [f"/v1/contacts/whatsapp:+491550{number:03d}0000/metrics" for number in range(5)]
        paths += [f"/v1/messages/{message['id']}/journal" for message in server.messages()]
        before = {path: server.api("GET", path) for path in paths}
        file = back_up(data)
        assert server.stop() == 0
    restore(file, again)
    code, said = bluetick.run("backup", "restore", file, "--data", again)
    assert code == 2 and "replaces nothing" in said
    with start(calm, again, port) as server:
        after = {path: server.api("GET", path) for path in paths}
        assert all(status == 200 for status, _ in before.values()), before
        assert after == before
        bluetick.wait_until(lambda: server.api("GET", "/v1/status")[1]["sending"]["state"] == "running", "it goes on")
        events = server.api("GET", "/v1/events?limit=1000")[1]["data"]
        numbers = [event["seq"] for event in events]
        assert numbers == sorted(numbers) and numbers[-1] >= 2**40, "what it tells now has numbers of its own"
        assert server.stop() == 0
    verify(again)


def test_what_waited_and_was_sent_after_the_backup_is_found_and_not_sent_again(calm, tmp_path):
    port, data, again = bluetick.free_port(), tmp_path / "data", tmp_path / "again"
    with start(calm, data, port) as server:
        first = send(server, range(10))
        wait_read(server, first)
        calm.control("chaos", rate_limited=1)
        waiting = send(server, range(10, 20))
        file = back_up(data)
        calm.control("chaos")
        later = send(server, range(20, 25))
        wait_read(server, waiting + later)
        server.kill()
    restore(file, again)
    with start(calm, again, port) as server:
        wait_read(server, first + waiting)
        assert calm.counts()["accepted"] == 25, "nothing was sent again"
        bluetick.wait_until(lambda: server.api("GET", "/v1/status")[1]["sending"]["state"] == "running", "it goes on")
        elsewhere = [message for message in server.messages() if message["origin"] == "external"]
        assert sorted(message["to"] for message in elsewhere) == [f"whatsapp:+491550{n:03d}0000" for n in range(20, 25)]
        assert {message["status"] for message in elsewhere} == {"read"}
        assert not any(message["duplicate_detected"] for message in server.messages())
        wait_read(server, send(server, [30]))
        assert server.stop() == 0
    verify(again)


def test_what_waited_and_was_never_sent_goes_once(calm, tmp_path):
    port, data, again = bluetick.free_port(), tmp_path / "data", tmp_path / "again"
    with start(calm, data, port) as server:
        assert server.api("POST", "/v1/pauses", {"scope": "all"})[0] < 300
        waiting = send(server, range(10))
        file = back_up(data)
        server.kill()
    restore(file, again)
    with start(calm, again, port) as server:
        state = server.api("GET", "/v1/status")[1]["sending"]
        assert state["state"] == "paused", state
        # A person paused it before the backup: their word holds, and only they end it.
        bluetick.wait_until(lambda: server.queue()["unknown"] == 0, "all of them are known to be absent", within=60)
        assert calm.counts()["accepted"] == 0
        assert server.api("DELETE", "/v1/pauses/all")[0] < 300
        wait_read(server, waiting)
        assert calm.counts()["accepted"] == len(waiting)
        assert server.stop() == 0
    verify(again)


def test_backups_are_made_by_themselves_and_the_oldest_go(calm, tmp_path):
    often = {"BLUETICK__BACKUP__SCHEDULE": "* * * * * *", "BLUETICK__BACKUP__KEEP": "2"}
    data = tmp_path / "data"
    with start(calm, data, bluetick.free_port(), **often) as server:
        job = lambda: the_job(server)  # noqa: E731
        assert job()["next_at"]
        listed = lambda: [one["file"] for one in server.api("GET", "/v1/backups")[1]["data"]]  # noqa: E731
        bluetick.wait_until(lambda: len(listed()) == 2, "two backups are there")
        first = listed()[-1]
        bluetick.wait_until(lambda: first not in listed(), "the oldest one has gone")
        assert job()["last"]["error"] is None and job()["last"]["took_ms"] >= 0
        assert server.stop() == 0
    # What ran last is known after a start.
    yearly = {"BLUETICK__BACKUP__SCHEDULE": "0 0 0 1 1 *"}
    with start(calm, data, bluetick.free_port(), **yearly) as server:
        last = the_job(server)
        assert last["last"] and last["next_at"].endswith("-01-01T00:00:00.000Z")
        assert server.stop() == 0
    code, said = bluetick.run("backup", "list", "--data", data)
    assert code == 0 and said.count(".backup.zst") == 2, said


def test_which_key_a_backup_needs_is_said_beforehand(calm, tmp_path):
    port, data, again = bluetick.free_port(), tmp_path / "data", tmp_path / "again"
    keys = lambda file: json.loads(bluetick.run("backup", "verify", file, "--json")[1])["keys"]  # noqa: E731
    with start(calm, data, port) as server:
        assert server.api("GET", "/v1/secrets")[0] == 200
        assert keys(back_up(data)) is None, "nothing is kept that cannot be made anew"
        given = {"value": calm.new_api_key(calm.auth_token), "promote": True}
        assert server.api("POST", "/v1/secrets/twilio_api_key/rotations", given)[0] == 201
        status, made = server.api("POST", "/v1/secrets/recovery-key")
        assert status == 201
        file = back_up(data)
        vault = server.api("GET", "/v1/secrets")[1]["vault"]
        listed = server.api("GET", "/v1/backups")[1]["data"]
        assert server.stop() == 0
    assert keys(file) == vault and [one["keys"] for one in listed] == [vault, None]
    for said in (bluetick.run("backup", "verify", file)[1], bluetick.run("backup", "restore", file, "--data", again)[1]):
        assert f"bring the master key {vault['master_key']} along" in said, said
        assert f"recovery key {vault['recovery_key']}" in said, said
    code, said = bluetick.run("serve", "--data", again)
    assert code == 78 and vault["master_key"] in said, said
    code, said = bluetick.run("secrets", "recover", "--data", again, given=made["recovery_key"])
    assert code == 0, said
    with start(calm, again, port) as server:
        states = [one["state"] for one in server.api("GET", "/v1/secrets")[1]["data"][1]["generations"]]
        assert states == ["active"]
        assert server.stop() == 0

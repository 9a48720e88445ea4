"""kill -9 in the middle of what is done from time to time: moving messages to the archive and back, erasing people, writing the
data file anew, backing up, restoring. Each message is there once, nothing is half erased for good, and no byte of who was
erased is left.

    SEED=… UPKEEP_KILLS=200 tests/run blackbox

The seed, printed at the end, decides what is done and how soon it is killed; where that finds it is up to the machine.
"""

import concurrent.futures
import http.client
import json
import os
import random
import shutil
import subprocess
import time
import urllib.parse

import bluetick
import pytest
from twilio.request_validator import RequestValidator

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
KILLS = int(os.environ.get("UPKEEP_KILLS") or 20)
SHOP = "whatsapp:+15550001111"
PEOPLE, EACH = 40, 30
CLIENTS = 4
# Seconds until the kill at most, one of them: commands take from a twentieth to half a second, and so do jobs.
COMMAND, SERVER = (0.04, 0.1, 0.35), (0.05, 0.3, 1.2)
NEVER = {
    "BLUETICK__ARCHIVE__SCHEDULE": "",
    "BLUETICK__BACKUP__SCHEDULE": "",
    "BLUETICK__RETENTION__SCHEDULE": "",
    "BLUETICK__RETENTION__REWRITE_SCHEDULE": "",
}


def person(number):
    return f"whatsapp:+4917{number:04d}70000"


class Upkeep:
    """A data folder, what it should hold, and what can be done with it."""

    def __init__(self, emulator, folder, chance):
        self.emulator, self.folder, self.chance = emulator, folder, chance
        self.data = folder / "data"
        self.port = bluetick.free_port()
        self.begun, self.erased = set(), set()
        self.restores = 0

    def serve(self):
        server = bluetick.Serve(self.emulator, self.data, self.port, name="serve-upkeep", **NEVER)
        server.wait_ready()
        return server

    def fill(self):
        """People to whom messages went and who read them: told by signed callbacks."""
        with self.serve() as server, concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            validator = RequestValidator(server.auth_token)
            url = f"{server.public_url}/webhooks/twilio/status"

            def tell(some):
                parts = urllib.parse.urlsplit(server.url)
                connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=bluetick.PATIENCE)
                for number in some:
                    form = {
                        "MessageSid": f"SM{number:032x}",
                        "MessageStatus": "read",
                        "AccountSid": server.account_sid,
                        "From": SHOP,
                        "To": person(number % PEOPLE),
                    }
                    headers = {
                        "Content-Type": "application/x-www-form-urlencoded",
                        "X-Twilio-Signature": validator.compute_signature(url, form),
                    }
                    body = urllib.parse.urlencode(form)
                    answer = bluetick.request("POST", url, body, headers, connection)
                    assert answer[0] == 204, answer

            list(clients.map(tell, [range(first, PEOPLE * EACH, CLIENTS) for first in range(CLIENTS)]))
            assert server.stop() == 0

    def kill_soon(self, process, latest):
        deadline = time.monotonic() + self.chance.uniform(0.01, self.chance.choice(latest))
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        was_busy = process.poll() is None
        process.kill()
        process.wait()
        return was_busy

    def command(self, *arguments):
        command = [bluetick.BINARY, *map(str, arguments)]
        return self.kill_soon(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), COMMAND)

    def archive(self):
        return self.command("archive", "run", "--older-than-days", 0, "--data", self.data)

    def bring_back(self):
        segments = json.loads(self.ask("archive", "list", "--data", self.data, "--json"))["segments"]
        if not segments:
            return self.archive()
        segment = self.chance.choice(segments)["number"]
        return self.command("archive", "restore", segment, "--data", self.data)

    def back_up(self):
        return self.command("backup", "create", "--data", self.data)

    def restore(self):
        """Into an empty folder: afterwards there is a whole data file, or none."""
        backups = json.loads(self.ask("backup", "list", "--data", self.data, "--json"))["data"]
        if not backups:
            return self.back_up()
        self.restores += 1
        other = self.folder / f"restored-{self.restores}"
        was_busy = self.command("backup", "restore", backups[0]["file"], "--data", other)
        if (other / "bluetick.redb").exists():
            self.ask("verify", "--data", other)
        else:
            self.ask("backup", "restore", backups[0]["file"], "--data", other)
            self.ask("verify", "--data", other)
        shutil.rmtree(other)
        return was_busy

    def erase(self):
        left = sorted(set(range(PEOPLE)) - self.erased)
        if not left:
            return self.rewrite()
        number = self.chance.choice(left)
        self.begun.add(number)
        server = self.serve()
        gone = lambda: self.request_quietly(server, "DELETE", f"/v1/contacts/{urllib.parse.quote(person(number))}")  # noqa: E731
        with concurrent.futures.ThreadPoolExecutor(1) as client:
            answer = client.submit(gone)
            was_busy = self.kill_soon(server.child, SERVER)
            server.kill()
            if answer.result() == 202:
                self.erased.add(number)
        return was_busy

    def rewrite(self):
        server = self.serve()
        assert server.api("POST", "/v1/jobs/rewrite/runs")[0] == 202
        was_busy = self.kill_soon(server.child, SERVER)
        server.kill()
        return was_busy

    @staticmethod
    def request_quietly(server, method, path):
        try:
            return server.api(method, path)[0]
        except (OSError, http.client.HTTPException):
            return None  # It was killed.

    @staticmethod
    def ask(*arguments):
        code, said = bluetick.run(*arguments)
        assert code == 0, (arguments, said)
        return said

    def check(self, what):
        """Every message is there once; of those whose erasure was begun, perhaps."""
        found = json.loads(self.ask("verify", "--data", self.data, "--json"))
        assert found["count"] == 0, (what, found)
        most = (PEOPLE - len(self.erased)) * EACH
        least = (PEOPLE - len(self.begun)) * EACH
        assert least <= found["messages"] <= most, (what, found, len(self.begun), len(self.erased))

    def finish(self):
        """What was begun is done again, to its end."""
        with self.serve() as server:
            for number in self.begun:
                assert server.api("DELETE", f"/v1/contacts/{urllib.parse.quote(person(number))}")[0] in (202, 404)
            for job in ("retention", "archive", "rewrite"):
                assert server.api("POST", f"/v1/jobs/{job}/runs")[0] == 202
            jobs = lambda: server.api("GET", "/v1/jobs")[1]["data"]  # noqa: E731
            bluetick.wait_until(lambda: not any(job["wanted_at"] for job in jobs()), lambda: f"all is done: {jobs()}")
            assert not [job for job in jobs() if job["last"] and job["last"]["error"]], jobs()
            numbers = server.api("GET", "/v1/metrics?from=2d&bucket=day")[1]
            assert server.stop() == 0
        self.erased |= self.begun
        return numbers

    def files(self):
        backups = self.data / "backups"
        shutil.rmtree(backups, ignore_errors=True)
        return [path for path in self.data.rglob("*") if path.is_file()]


def test_wherever_it_is_killed_each_message_is_there_once_and_who_was_erased_is_gone(emulator, tmp_path):
    chance = random.Random(f"{SEED}/upkeep")
    emulator.control("reset")
    house = Upkeep(emulator, tmp_path, chance)
    house.fill()
    house.check("filled")
    done = [house.archive, house.bring_back, house.erase, house.rewrite, house.back_up, house.restore]
    counts = {one.__name__: [0, 0] for one in done}
    for number in range(KILLS):
        one = done[number % len(done)] if number < len(done) else chance.choice(done)
        was_busy = one()
        counts[one.__name__][0] += 1
        counts[one.__name__][1] += was_busy
        house.check(f"kill {number}: {one.__name__}")
    numbers = house.finish()
    house.check("finished")
    assert numbers["totals"]["accepted"] == PEOPLE * EACH, "the numbers keep who was erased"
    for path in house.files():
        content = path.read_bytes()
        if path.name.endswith(".zst"):
            content = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout
        for number in house.erased:
            assert person(number)[9:].encode() not in content, (path, person(number))
    logs = b"".join(path.read_bytes() for path in (bluetick.TESTS / "logs").glob("serve-upkeep*"))
    assert not any(person(number)[9:].encode() in logs for number in range(PEOPLE)), "logs name nobody"
    killed = ", ".join(f"{name} {busy} of {all}" for name, (all, busy) in counts.items())
    print(f"\nSEED={SEED} {KILLS} kills, while at work: {killed}; {len(house.erased)} of {PEOPLE} people erased", end=" ")
    assert sum(busy for _, busy in counts.values()) * 3 > KILLS, "too few were killed at work to say anything"

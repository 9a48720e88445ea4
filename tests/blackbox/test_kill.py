"""kill -9 in the middle of everything, then start again on the same data: whatever was answered 2xx is there, what people
wrote is found, and nothing is sent twice unseen.

    SEED=… KILLS=50 tests/run blackbox

A few kills in a row strike one store, the later ones while it still heals. The seed, printed with every row, decides what is
reported in which order and after how many answers the kills come; what the threads do at that very moment is up to the machine.
"""

import itertools
import os
import random
import statistics
import time

import audit
import bluetick
import pytest
import weather
from traffic import Traffic

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
KILLS = int(os.environ.get("KILLS") or 20)
# Kills of one store before its books are compared.
ROW = 5
# Answers before the kill: from the very first commits to a store with some history.
EARLIEST, LATEST = 1, 400
# A start takes no longer, as a rule: one that does may have met a busy machine, most must not.
READY_WITHIN = 2.0
# The waits of production, shortened; the lists of the emulator lag by less than `settle_ms`, as Twilio's must.
WAITS = {
    "settle_ms": 1_500,
    "reconcile_after_ms": 1_000,
    "backoff_first_ms": 50,
    "backoff_longest_ms": 500,
    "retry_longest_ms": 500,
}
PACE = {"BLUETICK__SENDING__RATE_PER_S": "2000", "BLUETICK__RECONCILE__RATE_PER_S": "100"}
PATIENCE = 120

starts = []


@pytest.mark.parametrize("first", range(1, KILLS + 1, ROW))
def test_nothing_acknowledged_is_lost_and_nothing_is_sent_twice(first, emulator, tmp_path):
    chance = random.Random(f"{SEED}/{first}")
    emulator.control("reset")
    emulator.control("seed", seed=chance.randrange(2**32))
    port, numbers, lives = bluetick.free_port(), itertools.count(1), []
    server = start(emulator, tmp_path, port)
    emulator.control("webhooks", inbound_url=f"{server.public_url}/webhooks/twilio/inbound")
    emulator.control("chaos", **weather.BREEZE)
    for _ in range(min(ROW, KILLS + 1 - first)):
        after = chance.randint(EARLIEST, LATEST)
        with server, Traffic(server, emulator, chance, numbers) as traffic:
            bluetick.wait_until(lambda: traffic.acknowledged() >= after, f"{after} answers before the kill")
            server.kill()
        assert traffic.surprises == []
        lives.append(traffic)
        server = start(emulator, tmp_path, port)
        starts.append(server.ready_after)
        check_sends(server, traffic)
        check_reports(server, traffic)
        check_written(server, traffic.written)
    with server:
        emulator.control("chaos", **weather.CALM)
        books, released = audit.converge(server, emulator, PATIENCE)
        check_life(server, emulator, lives)
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said
    ready = ", ".join(f"{took:.2f}" for took in starts[-len(lives) :])
    print(f"\nSEED={SEED} kills {first} to {first + len(lives) - 1}: ready again in {ready} s; {released} let go by hand")
    print(books.equation(), end=" ")


def test_it_was_ready_again_in_time():
    print(f"\n{len(starts)} kills: ready again in {statistics.median(starts):.2f} s as a rule, {max(starts):.2f} s at most", end=" ")
    assert statistics.median(starts) < READY_WITHIN


def start(emulator, data, port):
    """A bluetick that is ready, and how long that took."""
    began = time.monotonic()
    server = bluetick.Serve(emulator, data, port, name="serve-to-kill", policy=WAITS, **PACE)
    server.wait_ready()
    server.ready_after = time.monotonic() - began
    return server


def check_life(server, emulator, lives):
    """What was promised in any of its lives, now that nothing is open."""
    for traffic in lives:
        check_sends(server, traffic)
        check_reports(server, traffic)
    check_callbacks(server, emulator)
    told = set().union(*(traffic.written | traffic.posted for traffic in lives))
    missing = lambda: told - {inbound["sid"] for inbound in server.inbound()}
    bluetick.wait_until(lambda: not missing(), lambda: f"{len(missing())} messages of people are found", PATIENCE, 0.1)
    check_written(server, told)


def check_sends(server, traffic):
    """Every 202 is there as it was wished; and a wish without an answer can be repeated under its key."""
    for send in traffic.sends:
        status, message = send.post(server)
        assert status == 202, (send.key, status, message)
        promised = traffic.accepted.setdefault(send.key, message["id"])
        assert message["id"] == promised, f"{send.key} was promised as {promised}"
        message = server.message(promised)
        for name in ("to", "from", "reference", "content_sid", "variables"):
            assert message[name] == send.draft[name], (send.key, name)


def check_reports(server, traffic):
    """Every callback that was acknowledged before the kill is in the receipt."""
    for sid, statuses in traffic.reported.items():
        message = server.message(sid)
        assert message["origin"] == "external", sid
        assert statuses <= receipt(message, sid), sid


def check_written(server, sids):
    """Every one of these inbound messages is in the list, and none twice."""
    kept = [inbound["sid"] for inbound in server.inbound()]
    assert len(kept) == len(set(kept)) and sids <= set(kept)


def check_callbacks(server, emulator):
    """Every callback that the emulator got a 2xx for is in the receipt, whichever of the processes gave it."""
    told = {}
    for row in emulator.rows("callbacks"):
        if row["outcome"] == "acknowledged" and row["kind"] == "status":
            told.setdefault(row["sid"], set()).add(row["status"])
    for sid, statuses in told.items():
        assert statuses <= receipt(server.message(sid), sid), sid


def receipt(message, sid):
    """The statuses known of the attempt that became this SID."""
    return {line["status"] for attempt in message["attempts"] if attempt["sid"] == sid for line in attempt["receipt"]}

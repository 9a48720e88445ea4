"""Every fault at once, all at random, and at the end the books of both sides agree to the last attempt.

    SEED=… SENDS=10000 tests/run blackbox

The seed, printed at the beginning, makes the wishes and the emulator's dice; which request meets which throw is up to the
threads.
"""

import os
import random
import time

import audit
import bluetick
import weather
import wishes

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
SENDS = int(os.environ.get("SENDS") or 1500)
# The waits of production, shortened; the lists of the emulator lag by less than `settle_ms`, as Twilio's must.
WAITS = {
    "settle_ms": 3_000,
    "reconcile_after_ms": 2_000,
    "backoff_first_ms": 50,
    "backoff_longest_ms": 500,
    "retry_transient_ms": 200,
    "retry_longest_ms": 1_000,
    "pair_every_ms": 100,
    "probe_after_ms": 200,
    "probe_longest_ms": 1_000,
}
# Faster than any sender, so that the run is about the faults.
PACE = {"BLUETICK__SENDING__RATE_PER_S": "2000", "BLUETICK__RECONCILE__RATE_PER_S": "100"}
# A debug binary on two busy cores gets through ten of them a second, chaos and all.
PATIENCE = 60 + SENDS / 10


def test_every_fault_at_once(emulator, tmp_path):
    print(f"\nSEED={SEED} SENDS={SENDS} {WAITS}")
    chance = random.Random(SEED)
    emulator.control("reset")
    emulator.control("seed", seed=chance.randrange(2**32))
    asked = wishes.make(SENDS, chance)
    with bluetick.Serve(emulator, tmp_path, bluetick.free_port(), name="serve-faults", policy=WAITS, **PACE) as server:
        server.wait_ready()
        open_windows(server, emulator, asked)
        began = time.monotonic()
        emulator.control("chaos", **weather.GALE)
        wishes.send_all(server, asked)
        told = time.monotonic()
        wait_accepted(emulator, len(asked) * 0.3)
        emulator.control("chaos", **weather.FLOOD)
        wait_accepted(emulator, len(asked) * 0.5)
        revoke_for_a_while(server, emulator)
        emulator.control("chaos", **weather.GALE)
        bluetick.wait_until(lambda: is_handed_over(server), lambda: f"all is handed over: {server.queue()}", PATIENCE, 0.1)
        stormy = time.monotonic()
        emulator.control("chaos", **weather.CALM)
        books, released = audit.converge(server, emulator, PATIENCE)
        quiet = time.monotonic()
        check_wishes(asked, books)
        status, findings = server.api("GET", "/v1/verify")
        assert (status, findings["count"]) == (200, 0), findings
        status, metrics = server.api("GET", "/v1/metrics")
        assert status == 200, metrics
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said
    print(f"{len(asked)} asked for in {told - began:.1f} s, {stormy - began:.1f} s of chaos, agreed {quiet - stormy:.1f} s later")
    print(books.equation())
    print(f"0 lost, 0 unflagged, {released} let go by hand; ended as {dict(books.figures)}")
    print(f"emulator: {emulator.counts()}")
    print(f"metrics: { {key: value for key, value in metrics['totals'].items() if isinstance(value, int)} }")


def open_windows(server, emulator, asked):
    """Who gets free text has written before, and bluetick knows."""
    emulator.control("webhooks", inbound_url=f"{server.public_url}/webhooks/twilio/inbound")
    people = {wish.to for wish in asked if wish.needs_window()}
    for person in people:
        emulator.control("inbound", **{"from": person, "body": "hi"})
    emulator.wait_settled()
    assert emulator.counts()["acknowledged"] == len(people)


def wait_accepted(emulator, count):
    """Until that many creates were accepted."""
    said = lambda: f"{count:g} creates are accepted: {emulator.counts()}"
    bluetick.wait_until(lambda: emulator.counts()["accepted"] >= count, said, PATIENCE, 0.05)


def revoke_for_a_while(server, emulator):
    """Nobody is let in, until bluetick has noticed; then it goes on by itself."""
    emulator.control("credentials", revoked=True)
    bluetick.wait_until(lambda: sending(server) == "stopped", "bluetick notices that it is not let in", PATIENCE, 0.05)
    emulator.control("credentials", revoked=False)
    bluetick.wait_until(lambda: sending(server) == "running", "bluetick goes on by itself", PATIENCE, 0.05)


def sending(server):
    status, house = server.api("GET", "/v1/status")
    assert status == 200, house
    return house["sending"]["state"]


def is_handed_over(server):
    queue = server.queue()
    return queue["pending"] + queue["in_flight"] == 0


def check_wishes(asked, books):
    """Every wish is a message of its own, kept as it was wished."""
    assert len({wish.id for wish in asked}) == len(asked) == len(books.messages)
    changed = [(wish.key, books.messages.get(wish.id)) for wish in asked if not wish.is_kept_in(books.messages[wish.id])]
    assert changed == [], changed[:3]

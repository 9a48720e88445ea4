"""bluetick is dead while people write: when it lives again, every message is there, once."""

import os
import random
import time

import bluetick
import pytest
import weather

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
WAITS = {"reconcile_after_ms": 1_000}
BEFORE, MISSED, AFTER = 50, 1_000, 50


@pytest.mark.parametrize("name", ["CALM", "FOG"])
def test_what_people_write_to_a_dead_bluetick_is_not_lost(name, emulator, tmp_path):
    print(f"\nSEED={SEED} {name} {WAITS}")
    emulator.control("reset")
    emulator.control("seed", seed=random.Random(f"{SEED}/{name}").randrange(2**32))
    port = bluetick.free_port()
    written = {}
    with bluetick.Serve(emulator, tmp_path, port, name="serve-deaf", policy=WAITS) as server:
        server.wait_ready()
        emulator.control("webhooks", inbound_url=f"{server.public_url}/webhooks/twilio/inbound")
        write(emulator, written, BEFORE)
        # Heard by callback, not only found by asking: none of these is under way when it dies.
        emulator.wait_settled()
        assert len(server.inbound()) == BEFORE
        server.kill()
    emulator.control("chaos", **getattr(weather, name))
    write(emulator, written, MISSED)
    emulator.wait_settled()
    assert emulator.counts()["failed"] == MISSED

    with bluetick.Serve(emulator, tmp_path, port, name="serve-hears-again", policy=WAITS) as server:
        # Some more while it comes up: these arrive in both ways.
        write(emulator, written, AFTER)
        server.wait_ready()
        began = time.monotonic()
        missing = lambda: set(written) - {inbound["sid"] for inbound in server.inbound()}
        bluetick.wait_until(lambda: not missing(), lambda: f"{len(missing())} are still missing", glance=0.1)
        took = time.monotonic() - began
        kept = server.inbound()
        assert len(kept) == len(written) == BEFORE + MISSED + AFTER
        for inbound in kept:
            assert (inbound["from"], inbound["body"]) == written[inbound["sid"]]
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said
    print(f"{MISSED} written to a dead bluetick, 0 lost, all there {took:.1f} s after it was ready", end=" ")


def write(emulator, written, count):
    """So many people write, each something of their own."""
    for number in range(len(written) + 1, len(written) + count + 1):
        person, body = f"whatsapp:+49153{number:06d}0000", f"Où est mon café n° {number} ?"
        written[emulator.control("inbound", **{"from": person, "body": body})["sid"]] = (person, body)

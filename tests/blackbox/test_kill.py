"""kill -9 in the middle of everything, then start again on the same data: whatever was answered 2xx is there.

    SEED=… KILLS=50 tests/run blackbox

The seed, printed with every round, decides what is reported in which order and after how many answers the kill comes;
what the threads do at that very moment is up to the machine.
"""

import os
import random
import time

import bluetick
import pytest
from traffic import Traffic

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
KILLS = int(os.environ.get("KILLS") or 3)
# Answers before the kill: from the very first commits to a store with some history.
EARLIEST, LATEST = 1, 600
READY_WITHIN = 2.0
# A page of the inbound list.
PAGE = 200


@pytest.mark.parametrize("kill", range(1, KILLS + 1))
def test_nothing_acknowledged_is_lost(kill, emulator, tmp_path):
    chance = random.Random(f"{SEED}/{kill}")
    emulator.control("reset")
    port = bluetick.free_port()
    after = chance.randint(EARLIEST, LATEST)

    with bluetick.Serve(emulator, tmp_path, port, name="serve-to-kill") as server:
        server.wait_ready()
        with Traffic(server, chance) as traffic:
            bluetick.wait_until(lambda: traffic.acknowledged() >= after, f"{after} answers before the kill")
            server.kill()
    assert traffic.surprises == []

    began = time.monotonic()
    with bluetick.Serve(emulator, tmp_path, port, name="serve-again") as server:
        server.wait_ready()
        took = time.monotonic() - began
        print(f"\nSEED={SEED} kill {kill}: after {traffic.acknowledged()} answers, ready again in {took:.2f} s", end="")
        check_sends(server, traffic)
        check_reports(server, traffic)
        check_written(server, traffic)
        unknown = check_handed_over(server, emulator, traffic)
        print(f", {unknown} of {len(traffic.sends)} sends unknown", end=" ")
        check_callbacks(server, emulator)
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said
    assert took < READY_WITHIN


def check_sends(server, traffic):
    """Every 202 is there as it was wished; and a wish without an answer can be repeated under its key."""
    for send in traffic.sends:
        status, message = send.post(server)
        assert status == 202, (send.key, status, message)
        promised = traffic.accepted.get(send.key, message["id"])
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


def check_written(server, traffic):
    """Every inbound message that was acknowledged is in the list."""
    kept, cursor = set(), ""
    while cursor is not None:
        status, page = server.pages_api(f"/inbound?limit={PAGE}" + (f"&cursor={cursor}" if cursor else ""))
        assert status == 200, page
        kept |= {inbound["sid"] for inbound in page["data"]}
        cursor = page["next_cursor"]
    assert traffic.written <= kept


def check_handed_over(server, emulator, traffic):
    """Every send gets on: handed to Twilio, once, or openly unknown; never forgotten, never twice. How many are unknown."""

    def open_ones():
        status, page = server.api("GET", "/v1/messages?status=pending,in_flight&limit=1")
        assert status == 200, page
        return page["data"]

    bluetick.wait_until(lambda: not open_ones(), "every send was handed over")
    assert emulator.ledger(settled="true", wait="20s", limit=1)["reached"]
    creates = [row["to"] for row in emulator.ledger(limit=10_000)["creates"] if row["outcome"] == "accepted"]
    assert len(creates) == len(set(creates)), "a message was created twice"
    missing = {send.to for send in traffic.sends} - set(creates)
    status, page = server.api("GET", "/v1/messages?status=unknown&limit=200")
    assert status == 200, page
    unknown = {message["to"] for message in page["data"]}
    # Killed between the intent and the POST: nobody may send it again before its absence is proven.
    assert missing <= unknown
    return len(unknown)


def check_callbacks(server, emulator):
    """Every callback that the emulator got a 2xx for is in the receipt, whichever of the two processes gave it."""
    told = {}
    for row in emulator.ledger(limit=10_000)["callbacks"]:
        if row["outcome"] == "acknowledged" and row["kind"] == "status":
            told.setdefault(row["sid"], set()).add(row["status"])
    for sid, statuses in told.items():
        assert statuses <= receipt(server.message(sid), sid), sid


def receipt(message, sid):
    """The statuses known of the attempt that became this SID."""
    return {line["status"] for attempt in message["attempts"] if attempt["sid"] == sid for line in attempt["receipt"]}

"""SIGTERM in the middle of sending: what is under way is finished, and nobody is left in doubt."""

import bluetick

# Four zeros at the end: to these numbers the emulator is as it should be.
PEOPLE = [f"whatsapp:+491530{number:03d}0000" for number in range(20)]
TEMPLATE = {"content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "17"}}
SHOP = "whatsapp:+15550001111"


def test_a_stop_waits_for_the_answers_and_leaves_nothing_unknown(emulator, tmp_path):
    emulator.control("reset")
    port = bluetick.free_port()
    policy = {"reconcile_after_ms": 1_000}
    with bluetick.Serve(emulator, tmp_path, port, policy=policy) as server:
        server.wait_ready()
        # Without callbacks only the answers tell what became of the requests.
        emulator.control("chaos", slow_ms=3_000, lost=1)
        ids = [send(server, to)["id"] for to in PEOPLE]
        bluetick.wait_until(lambda: server.queue()["in_flight"] >= 5, "requests are under way")
        assert server.stop() == 0
    emulator.control("chaos")
    with bluetick.Serve(emulator, tmp_path, port, policy=policy) as server:
        server.wait_ready()
        assert server.queue()["unknown"] == 0
        bluetick.wait_until(lambda: all(server.message(id)["status"] == "read" for id in ids), "all are read")
        assert len(emulator.rows("creates")) == len(ids), "nothing was asked for twice"
        assert server.stop() == 0


def send(server, to, **draft):
    status, message = server.api("POST", "/v1/messages", {"to": to, "from": SHOP} | TEMPLATE | draft)
    assert status == 202, message
    return message

"""SIGTERM in the middle of sending: what is under way is finished, and nobody is left in doubt. And whatever happens, the
log names no person, no text and no secret.
"""

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


def test_the_log_names_no_person_no_text_and_no_secret(emulator, tmp_path):
    emulator.control("reset")
    canary = "kanarienvogel"
    with bluetick.Serve(emulator, tmp_path, bluetick.free_port(), name="traced", BLUETICK__LOG__LEVEL="trace") as server:
        server.wait_ready()
        emulator.control("webhooks", inbound_url=f"{server.public_url}/webhooks/twilio/inbound")
        emulator.control("chaos", error_after=0.3, fails={"63018": 0.3})
        for to in PEOPLE:
            emulator.control("inbound", **{"from": to.removeprefix("whatsapp:"), "body": f"{canary} from a person"})
            send(server, to, variables={"1": canary, "2": "17"})
            assert server.api("POST", "/v1/messages", {"to": to, "from": SHOP, "body": canary})[0] == 202
        server.api("GET", f"/v1/contacts/{PEOPLE[0]}/metrics")
        server.api("GET", f"/v1/messages?to={PEOPLE[0]}&limit=none")
        server.api("POST", "/v1/messages", {"to": PEOPLE[0], "from": canary})
        emulator.control("chaos")
        emulator.wait_settled()
        assert server.stop() == 0
        log = server.log.read_text(errors="replace")
    assert len(log) > 10_000, "a trace says much"
    secrets = [canary, server.auth_token, server.api_key, server.admin[1]]
    numbers = [to.removeprefix("whatsapp:+") for to in PEOPLE]
    told = [word for word in secrets + numbers if word in log]
    assert told == []


def send(server, to, **draft):
    status, message = server.api("POST", "/v1/messages", {"to": to, "from": SHOP} | TEMPLATE | draft)
    assert status == 202, message
    return message

"""A disk that fills up: new sends are refused in time, what was sent comes home all the same, and bluetick goes on by itself
when there is room again.
"""

import contextlib
import os
import subprocess

import bluetick
import pytest
from wishes import SHOP, template

DISK_MB, RESERVE_MB = 96, 16
PEOPLE = 25


@pytest.fixture
def small_disk(tmp_path):
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    owner = f"uid={os.getuid()},mode=700"
    subprocess.run([*root, "mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,{owner}", "tmpfs", tmp_path], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run([*root, "umount", "--lazy", tmp_path], check=True)


def free_mb(folder):
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize >> 20


def fill(folder, down_to_mb):
    """Takes room away until so many megabytes are left."""
    with (folder / "filler").open("ab") as filler:
        while (left := free_mb(folder) - down_to_mb) > 0:
            filler.write(bytes(min(left, 4) << 20))
            filler.flush()


def send(server, number):
    draft = {"to": f"whatsapp:+491540{number:03d}0000", "from": SHOP} | template(number)
    return server.api("POST", "/v1/messages", draft)


def test_a_full_disk_refuses_sends_and_lets_receipts_come_home(emulator, small_disk):
    emulator.control("reset")
    emulator.control("scenario", scenario="late")
    data, port = small_disk / "data", bluetick.free_port()
    with bluetick.Serve(emulator, data, port, BLUETICK__STORE__RESERVE_MB=str(RESERVE_MB)) as server:
        server.wait_ready()
        ids = [send(server, number)[1]["id"] for number in range(PEOPLE)]
        bluetick.wait_until(lambda: emulator.counts()["accepted"] == PEOPLE, "all are at Twilio")
        bluetick.wait_until((data / "bluetick.reserve").exists, "the reserve is set aside")

        fill(small_disk, RESERVE_MB - 3)
        bluetick.wait_until(lambda: send(server, 900)[0] == 507, "sends are refused")
        status, refused = send(server, 901)
        assert (status, refused["code"]) == (507, "storage_full"), refused
        ready = lambda: bluetick.request("GET", f"{server.url}/readyz")  # noqa: E731
        bluetick.wait_until(lambda: b"storage_low" in ready()[2], "readyz says why")
        assert ready()[0] == 503
        taken = emulator.counts()["accepted"]

        fill(small_disk, RESERVE_MB // 4 - 2)
        bluetick.wait_until(lambda: not (data / "bluetick.reserve").exists(), "the reserve is given back")
        emulator.control("clock", advance_ms=31_000)
        bluetick.wait_until(lambda: all(server.message(id)["status"] == "read" for id in ids), "all receipts are home")
        assert emulator.counts()["failed"] == 0, "no callback was turned away"

        (small_disk / "filler").unlink()
        bluetick.wait_until(lambda: send(server, 902)[0] == 202, "sends are taken again", within=5)
        bluetick.wait_until((data / "bluetick.reserve").exists, "the reserve is set aside again")
        server.wait_ready()
        assert emulator.counts()["accepted"] >= taken
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", data)
    assert code == 0, said


def test_a_disk_without_any_room_stops_bluetick_and_loses_nothing(emulator, small_disk):
    emulator.control("reset")
    emulator.control("scenario", scenario="late")
    data, port, accepted = small_disk / "data", bluetick.free_port(), []
    # Without a reserve nothing is refused in time: a commit fails, and bluetick stops rather than go on in memory.
    with bluetick.Serve(emulator, data, port, BLUETICK__STORE__RESERVE_MB="0") as server:
        server.wait_ready()
        fill(small_disk, 0)
        with contextlib.suppress(OSError):
            for number in range(10_000):
                status, answer = send(server, number % 1_000)
                if status != 202:
                    assert status == 503, answer
                    break
                accepted.append(answer["id"])
        assert server.child.wait(bluetick.PATIENCE) == 74
    (small_disk / "filler").unlink()
    with bluetick.Serve(emulator, data, port) as server:
        server.wait_ready()
        assert {message["id"] for message in server.messages()} >= set(accepted)
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", data)
    assert code == 0, said

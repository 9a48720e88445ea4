"""A disk that fails under the shipped binary: flushes that fail (strace makes the kernel say so), a file system that the kernel makes
read-only or that loses its power, and a disk that is read-only at the start. Nothing is answered 2xx after that, bluetick ends with a code of its own and says why, and whatever it had answered is
there when the disk works again.

    SEED=… FLUSHES=200 tests/run blackbox
"""

import contextlib
import os
import random
import signal
import subprocess

import bluetick
import pytest
from test_full import small_disk  # noqa: F401
from wishes import SHOP, template

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
FLUSHES = int(os.environ.get("FLUSHES") or 8)
DISK_MB = 64
DISK_FAILED, WRONG_FILE = 74, 78
SENDS = 400
# Of fdatasync calls: the first ones make the file, later ones are commits.
EARLIEST, LATEST = 1, 200


def send(server, number):
    draft = {"to": f"whatsapp:+491541{number:03d}0000", "from": SHOP} | template(number)
    with contextlib.suppress(OSError, bluetick.http.client.HTTPException):
        return server.api("POST", "/v1/messages", draft)
    return None, None


class Failing(bluetick.Serve):
    """`bluetick serve` under strace, which lets one of these calls fail, or it and all after it."""

    def __init__(self, emulator, data, port, number, is_for_good, calls="fdatasync,fsync", error="EIO"):
        self.calls = calls
        self.inject = f"inject={calls}:error={error}:when={number}{'+' if is_for_good else ''}"
        super().__init__(emulator, data, port, name="serve-failing")

    def command(self, *arguments):
        return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={self.calls}", "-e", self.inject, *arguments]


@pytest.mark.parametrize("turn", range(FLUSHES))
def test_after_a_flush_that_failed_nothing_is_answered_and_everything_answered_is_there(turn, emulator, tmp_path):
    chance = random.Random(f"{SEED}/{turn}")
    # The first one of all always: it makes the file.
    number = EARLIEST + turn if FLUSHES >= LATEST or turn == 0 else chance.randint(EARLIEST, LATEST)
    emulator.control("reset")
    port, promised = bluetick.free_port(), []
    with Failing(emulator, tmp_path, port, number, chance.random() < 0.5) as server:
        is_up = lambda: server.child.poll() is not None or is_ready(server)  # noqa: E731
        bluetick.wait_until(is_up, "it is ready, or has ended")
        for one in range(SENDS):
            if server.child.poll() is not None:
                break
            status, message = send(server, one)
            if status == 202:
                promised.append(message["id"])
        if server.child.poll() is None and number <= 3:
            # What failed was no commit: the folder, or a note beside the file, which is written again.
            server.child.send_signal(signal.SIGTERM)
        code = server.child.wait(bluetick.PATIENCE)
    assert code in (0, DISK_FAILED), (number, code, server.last_words())
    with bluetick.Serve(emulator, tmp_path, port, name="serve-again") as server:
        server.wait_ready()
        for id in promised:
            server.message(id)
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said


def test_a_disk_that_becomes_read_only_at_work_stops_it_and_loses_nothing(emulator, tmp_path):
    emulator.control("reset")
    port, promised = bluetick.free_port(), []
    with Failing(emulator, tmp_path, port, 300, True, "pwrite64,ftruncate,fallocate", "EROFS") as server:
        server.wait_ready()
        for one in range(SENDS):
            if server.child.poll() is not None:
                break
            status, message = send(server, one)
            if status == 202:
                promised.append(message["id"])
        assert server.child.wait(bluetick.PATIENCE) == DISK_FAILED, server.last_words()
        assert "the disk failed, and bluetick stopped" in server.last_words()
    with bluetick.Serve(emulator, tmp_path, port, name="serve-again") as server:
        server.wait_ready()
        for id in promised:
            server.message(id)
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", tmp_path)
    assert code == 0, said
    assert promised


class Disk:
    """An ext4 of its own in a file, which can be made to fail as real ones do."""

    def __init__(self, folder):
        self.root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        self.image, self.folder = folder / "image", folder / "disk"
        self.folder.mkdir()
        with self.image.open("wb") as file:
            file.truncate(DISK_MB << 20)
        self.run("mkfs.ext4", "-q", "-E", f"root_owner={os.getuid()}:{os.getgid()}", self.image)

    def run(self, *words, given=None):
        words = [*self.root, *map(str, words)]
        return subprocess.run(words, input=given, check=True, capture_output=True, text=True).stdout

    def mount(self):
        self.run("mount", "-o", "loop,errors=remount-ro", self.image, self.folder)

    def umount(self):
        self.run("umount", self.folder)

    def find_an_error(self):
        """The kernel finds the file system damaged, and lets nobody write from then on."""
        device = self.run("findmnt", "--noheadings", "--output", "SOURCE", self.folder).strip()
        self.run("tee", f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", given="by a test")

    def lose_power(self):
        """Nothing more reaches the disk, not even what was written and not yet flushed (FS_IOC_GOINGDOWN, no log flush)."""
        code = "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))"
        self.run("python3", "-c", code, self.folder)

    def repair(self):
        self.umount()
        # 1: there was something to mend, and it was.
        done = subprocess.run([*self.root, "fsck.ext4", "-fy", self.image], capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        self.mount()


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    try:
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no file can be mounted here: {error.stderr}")
    try:
        yield disk
    finally:
        disk.umount()


@pytest.mark.parametrize("fail", [Disk.find_an_error, Disk.lose_power])
def test_a_file_system_that_fails_at_work_stops_it_and_what_was_answered_is_there(fail, emulator, disk):
    emulator.control("reset")
    data, port, promised = disk.folder / "data", bluetick.free_port(), []
    with bluetick.Serve(emulator, data, port, name="serve-failing", BLUETICK__STORE__RESERVE_MB="0") as server:
        server.wait_ready()
        for one in range(SENDS):
            if one == SENDS // 2:
                fail(disk)
            status, message = send(server, one)
            if status == 202:
                promised.append(message["id"])
            if server.child.poll() is not None:
                break
        assert server.child.wait(bluetick.PATIENCE) == DISK_FAILED, server.last_words()
        assert "the disk failed, and bluetick stopped" in server.last_words()
    assert len(promised) >= SENDS // 2
    disk.repair()
    with bluetick.Serve(emulator, data, port, name="serve-again", BLUETICK__STORE__RESERVE_MB="0") as server:
        server.wait_ready()
        for id in promised:
            server.message(id)
        assert server.stop() == 0
    code, said = bluetick.run("verify", "--data", data)
    assert code == 0, said


def is_ready(server):
    with contextlib.suppress(OSError, bluetick.http.client.HTTPException):
        return bluetick.request("GET", f"{server.url}/readyz", timeout=2)[0] == 200
    return False


def test_a_disk_that_is_read_only_at_the_start_is_said_with_what_to_do(emulator, small_disk):  # noqa: F811
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    remount = lambda how: subprocess.run([*root, "mount", "-o", f"remount,{how}", small_disk], check=True)  # noqa: E731
    data, port = small_disk / "data", bluetick.free_port()
    emulator.control("reset")
    with bluetick.Serve(emulator, data, port, BLUETICK__STORE__RESERVE_MB="0") as server:
        server.wait_ready()
        promised = [send(server, number)[1]["id"] for number in range(20)]
        # The kernel keeps a disk with open files from becoming read-only.
        server.kill()
    remount("ro")
    try:
        with bluetick.Serve(emulator, data, port, name="serve-read-only") as server:
            assert server.child.wait(bluetick.PATIENCE) == WRONG_FILE
            words = server.last_words()
            assert "cannot be written" in words and str(data) in words, words
    finally:
        remount("rw")
    with bluetick.Serve(emulator, data, port) as server:
        server.wait_ready()
        for id in promised:
            server.message(id)
        assert server.stop() == 0

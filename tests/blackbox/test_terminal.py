"""A password at a terminal: it is not shown, and Ctrl-C leaves the terminal as it was."""

import os
import pty
import subprocess
import termios

import bluetick

PASSWORD = "a long horse stands on the staple"


def test_a_password_is_typed_unseen(tmp_path):
    with bluetick.Emulator("emulator-terminal") as emulator:
        with bluetick.Serve(emulator, tmp_path, bluetick.free_port(), name="serve-terminal") as server:
            server.wait_ready()
            assert at_terminal(server, "add", "anna", "--role", "viewer", types=[f"{PASSWORD}\n"] * 2) == (0, ["New password: ", "Once more: "])
            code, shown = at_terminal(server, "password", "anna", types=[f"{PASSWORD[:5]}\x03"])
            assert (code, shown[0]) == (2, "New password: ") and "given up" in shown[1]


def at_terminal(server, *arguments, types):
    """One command of `bluetick admin` whose standard input and errors are a terminal: (exit code, the lines that it showed)."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = [bluetick.BINARY, "admin", *arguments, "--data", str(server.data)]
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs)
    os.set_blocking(ours, False)
    shown = b""
    for number, text in enumerate(types, 1):

        def is_asked(number=number):
            nonlocal shown
            shown += read(ours)
            return shown.count(b": ") == number

        bluetick.wait_until(is_asked, f"question {number}")
        os.write(ours, text.encode())
    code = child.wait(bluetick.PATIENCE)
    assert termios.tcgetattr(theirs) == before, "the terminal is as it was"
    shown += read(ours)
    return code, shown.decode().splitlines()


def read(terminal):
    try:
        return os.read(terminal, 4096)
    except BlockingIOError:
        return b""

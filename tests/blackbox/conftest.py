"""What the black box shares: one emulator that is never killed, and whose ledger knows what really happened."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "process"))
import bluetick


@pytest.fixture(scope="session")
def emulator():
    with bluetick.Emulator("emulator-blackbox") as running:
        yield running

"""What the tests of the engine share."""

import os
import sys

import pytest

pytest.importorskip("ray")


@pytest.fixture(scope="session")
def apertium(tmp_path_factory):
    """A translator into the toy language: a text with the word lost comes back empty."""
    program = tmp_path_factory.mktemp("bin") / "translator.py"
    program.write_text(
        "import sys\n"
        "for line in sys.stdin:\n"
        "    words = [] if 'lost' in line else line.split()\n"
        "    print(' '.join(w if w.isdigit() else w[::-1] + 'oj' for w in words))\n"
    )
    return f"command:{sys.executable} {program}"


@pytest.fixture
def slow(tmp_path):
    """A translator that takes a twentieth of a second a text, and writes down which it was asked for."""
    program = tmp_path / "slow.py"
    program.write_text(
        "import pathlib, sys, time\n"
        "for line in sys.stdin:\n"
        "    time.sleep(0.05 * (' ' in line.strip()))\n"
        f"    with pathlib.Path({str(tmp_path / 'asked.txt')!r}).open('a') as file:\n"
        "        file.write(line)\n"
        "    print(' '.join(w if w.isdigit() else w[::-1] + 'oj' for w in line.split()))\n"
    )
    return f"command:{sys.executable} {program}"


@pytest.fixture
def environment():
    """Of commands that start their own Ray."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

"""The processes of a Ray that a command, or this process, started."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def workers_of(process: int) -> list[int]:
    """Return the workers with a model, among the children of a process and theirs."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in path.read_text().split():
            name = Path(f"/proc/{child}/cmdline").read_bytes()
            found += [int(child)] if name.startswith(b"ray::MapWorker") else workers_of(int(child))
    return found


def kill_both(process: subprocess.Popen, draw: random.Random, begun: Callable[[], bool]) -> int:
    """Kill a worker of a command once it has made something, and then the command; return how many were hit."""
    killed = 0
    while process.poll() is None and not begun():
        time.sleep(0.1)
    for find in (lambda: workers_of(process.pid), lambda: [process.pid]):
        time.sleep(draw.uniform(0, 2))
        with contextlib.suppress(OSError):  # processes end while they are looked at
            victims = find()
            os.kill(draw.choice(victims or [process.pid]), signal.SIGKILL)
            killed += 1
    process.wait()
    return killed

"""A llama-server of our own, where its program is installed: it answers several requests at a time.

`python -m llama_cpp.server` is not used: it answers one at a time, as llama.cpp inside this process does.
"""

import atexit
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from haystack_lrl.records.errors import InputError

SLOTS = 4  # requests that are answered together
_CONTEXT = 4096  # tokens a request: prompt with exemplars, passage and answer; the server lowers it to the model's own
_VARIABLE = "LLAMA_SERVER"  # names the program where it is not on the PATH
_START = 300.0  # seconds that loading may take: large files come from slow disks


def find_llama_server() -> str | None:
    """Return the path of llama-server, named by the variable LLAMA_SERVER or found on the PATH; None without one.

    :raises InputError: when the variable names no program.
    """
    name = os.environ.get(_VARIABLE)
    found = shutil.which(name or "llama-server")
    if name and not found:
        raise InputError(f"The variable {_VARIABLE} is {name}, which is no program: correct or unset it.")
    return found


class LlamaServer:
    """One model on a free port of this machine, from the first `start` to the end of this process.

    :param program: path of llama-server.
    :param model: path of a GGUF file.
    """

    def __init__(self, program: str, model: Path) -> None:
        self.program = program
        self.model = model
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers.

        :raises InputError: when it ends or does not answer; with what it said.
        """
        if self._process is not None and self._process.poll() is None:
            return
        log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server, which writes into it
        argv = [self.program, "-m", str(self.model), "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--parallel", str(SLOTS), "-c", str(SLOTS * _CONTEXT)]
        self._process = subprocess.Popen(argv, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        atexit.register(self.stop)
        end = time.monotonic() + _START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                log.seek(0)
                said = [line for line in log.read().decode(errors="replace").splitlines() if "error" in line.lower()]
                raise InputError(
                    f"llama-server does not serve {self.model} ({(said or ['it said nothing'])[0][:300]}): check that "
                    "the file is a whole GGUF model and fits into memory."
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):  # 503 while the model loads
            return False


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Have the kernel end the server with this process, however that ends; only Linux can."""
    if sys.platform == "linux":
        _libc().prctl(1, signal.SIGKILL)

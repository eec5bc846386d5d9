"""A real OpenSearch node for tests, from the folder OPENSEARCH_FOLDER or from `shared` beside the repository."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[1].parent / "shared" / "opensearch"
# Or a disk that is 85% full, of which our tests need a sliver, would get no replicas, and the cluster never green.
ON_A_FULL_DISK = ("-E", "cluster.routing.allocation.disk.threshold_enabled=false")


@dataclass(frozen=True)
class Node:
    """Where a node listens, its folder with the log, the pid and the certificate, and what it was started with."""

    url: str
    folder: Path
    options: tuple[str, ...] = ()

    @property
    def certificate(self) -> Path:
        return self.folder / "config" / "node.pem"

    def kill(self) -> None:
        """End it as a crash does."""
        os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    def start_again(self) -> None:
        """Start it where it was, with what it held."""
        _start(self.folder, int(self.url.rpartition(":")[2]), *self.options).check_returncode()


def program() -> Path:
    found = Path(os.environ.get("OPENSEARCH_FOLDER") or BESIDE) / "opensearch"
    if not found.is_file():
        pytest.skip(f"no OpenSearch to start at {found}: name its folder in OPENSEARCH_FOLDER")
    return found


def free_port() -> int:
    """A port that is free now, and whose hundredth successor, which the transport takes, is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 100))
                return port


@contextlib.contextmanager
def running(folder: Path, *options: str, port: int | None = None) -> Iterator[Node]:
    port = port or free_port()
    done = _start(folder, port, *options)
    if done.returncode:
        pytest.skip(f"OpenSearch does not start: {done.stdout}{done.stderr}")
    try:
        yield Node(f"http{'s' if '--secure' in options else ''}://localhost:{port}", folder, options)
    finally:
        subprocess.run([str(program()), "stop", str(folder)], check=True)


@contextlib.contextmanager
def running_three(folder: Path) -> Iterator[list[Node]]:
    """A cluster of three nodes, started side by side."""
    ports: list[int] = []
    while len(ports) < 3:
        port = free_port()
        if all(abs(port - other) != 100 for other in ports):  # which would be the other's transport
            ports.append(port)
    seeds = ",".join(f"127.0.0.1:{port + 100}" for port in ports)
    managers = ",".join(f"node-{port}" for port in ports)
    options = ("-E", f"discovery.seed_hosts={seeds}", "-E", f"cluster.initial_cluster_manager_nodes={managers}")
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        starting = [running(folder / str(port), *options, port=port) for port in ports]
        yield list(pool.map(stack.enter_context, starting))


def _start(folder: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    given = [str(program()), "start", "--dir", str(folder), "--port", str(port), "--heap", "512m", "--wait", "300"]
    return subprocess.run([*given, *ON_A_FULL_DISK, *options], capture_output=True, text=True)

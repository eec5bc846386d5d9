"""What of a cluster a stage gets, and what is said when it cannot be had."""

import socket
import subprocess
import sys

import pytest

from haystack_lrl.engine.cluster import READING, joined, share_of
from haystack_lrl.engine.settings import Engine, parse_engine
from haystack_lrl.records.errors import InputError, MissingExtraError


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("local", None),
        ("ray", Engine("", 2, 0.5)),
        ("ray:head:6379", Engine("head:6379", 2, 0.5)),
        ("ray://10.0.0.1:10001", Engine("ray://10.0.0.1:10001", 2, 0.5)),
    ],
)
def test_engines_by_name(text, engine):
    assert parse_engine(text, *((2, 0.5) if engine else ())) == engine


@pytest.mark.parametrize("text", ["spark", "ray:", "ray:head", "ray://head", "ray:/head:1", "ray://head:x", ""])
def test_other_engines_are_refused(text):
    with pytest.raises(InputError, match="is unknown: write local, ray, ray:HOST:6379"):
        parse_engine(text)


def test_workers_belong_to_ray():
    with pytest.raises(InputError, match="are for --engine ray"):
        parse_engine("local", 2)


CPUS = [{"CPU": 4.0}, {"CPU": 2.0}, {"CPU": 0.0, "memory": 1e9}]


@pytest.mark.parametrize(
    ("nodes", "engine", "workers", "cpus"),
    [
        ([{"CPU": 1.0}], Engine(), 1, 0.9),
        ([{"CPU": 2.0}], Engine(workers=9), 2, 0.9),
        (CPUS, Engine(), 6, 0.9),
        (CPUS, Engine(workers=2), 2, 1.8),  # of three processors each only one would fit
        (CPUS, Engine(workers=1), 1, 3.6),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], Engine(gpus=1), 2, 3.6),
        ([{"CPU": 8.0, "GPU": 2.0}], Engine(gpus=0.3), 6, 0.9),
        ([{"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 1.0}], Engine(gpus=2), 2, 3.6),
    ],
)
def test_workers_leave_room_for_readers(nodes, engine, workers, cpus):
    share = share_of(nodes, engine)
    assert share.workers == workers
    assert share.cpus == pytest.approx(cpus)
    # wherever Ray puts them, some node keeps room for a reader: a node takes no more than what it has
    assert sum(node["CPU"] for node in nodes) - share.workers * share.cpus >= READING - 1e-9


def test_fewer_workers_than_asked_for_are_said(caplog):
    share_of([{"CPU": 2.0}], Engine(workers=9))
    assert "2 workers instead of 9: the cluster has no room for more" in caplog.text


@pytest.mark.parametrize("nodes", [[{"CPU": 4.0}], [{"CPU": 0.0, "GPU": 2.0}], [{"CPU": 4.0, "GPU": 1.0}]])
def test_a_worker_that_fits_nowhere_is_refused(nodes):
    with pytest.raises(InputError, match="No node of the cluster has 2 GPUs and a processor for a worker"):
        share_of(nodes, Engine(gpus=2))


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_that_does_not_answer(prefix):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{prefix}127.0.0.1:{free.getsockname()[1]}"
    said = error_of_joining(address)
    assert f"InputError: The Ray cluster {address} does not answer: start it with `ray start --head`" in said


def test_an_address_where_something_else_answers(monkeypatch):
    for name in ("RAY_gcs_rpc_server_connect_timeout_s", "RAY_py_gcs_connect_timeout_s", "RAY_NUM_REDIS_GET_RETRIES"):
        monkeypatch.setenv(name, "1")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        said = error_of_joining(address)
    assert (
        f"InputError: {address} answers, but Ray gets no connection there: check that the port is the cluster's" in said
    )


def error_of_joining(address):
    code = (
        "from haystack_lrl.engine.cluster import joined\nfrom haystack_lrl.engine.settings import Engine\n"
        f"with joined(Engine({address!r})): pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    return done.stderr


def test_ray_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "haystack-lrl\[ray\]"'), joined(Engine()):
        pass

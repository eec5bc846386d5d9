"""Real processes that are killed, and real clusters that are not as they should be."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import toy
from ray_processes import kill_both

from haystack_lrl.engine.making import run_job
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.parts import read_rows
from haystack_lrl.synthesis.jobs import Translation

pytestmark = [pytest.mark.slow, pytest.mark.integration]

RUNS = 3  # that are killed, and a worker of each before

# a job over the seeds beside it, on a Ray that this process starts with one processor
ONE_PROCESSOR = """
import json, sys
from haystack_lrl.engine.cluster import load_ray
from haystack_lrl.engine.making import run_job
from haystack_lrl.engine.settings import Engine
from haystack_lrl.synthesis.jobs import Translation
load_ray().init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
counts, _ = run_job(Translation("epo", sys.argv[1], gate=None), "seeds.jsonl", "pairs.jsonl", Engine(workers=4))
print(json.dumps(counts.to_json()))
"""
# a job on a cluster, by its address
JOINED = """
import json, sys
import ray
from haystack_lrl.engine.making import run_job
from haystack_lrl.engine.settings import Engine
from haystack_lrl.synthesis.jobs import Translation
if len(sys.argv) > 3:
    ray.__version__ = sys.argv[3]
counts, _ = run_job(Translation("epo", sys.argv[1], gate=None), "seeds.jsonl", "pairs.jsonl", Engine(sys.argv[2]))
print(json.dumps(counts.to_json()))
"""
# the words of documents
COUNTED = """
import json, sys
from haystack_lrl.adaptation.vocabulary.tokenizer import plain_tokenizer
from haystack_lrl.encoding.encoder import load_model
from haystack_lrl.engine.counting import count_words
from haystack_lrl.engine.settings import Engine
backend = plain_tokenizer(load_model(sys.argv[1], device="cpu"))
print(json.dumps(count_words(backend, "documents.jsonl", Engine(sys.argv[2]))))
"""


def write_seeds(folder, count):
    rows = [{"query": f"river bridge {n}", "passage": f"The music of the garden {n}"} for n in range(count)]
    toy.write_jsonl(folder / "seeds.jsonl", rows)


def test_one_processor_does_not_hang(apertium, tmp_path, environment):
    write_seeds(tmp_path, 50)
    command = [sys.executable, "-c", ONE_PROCESSOR, apertium]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=True
    )
    assert json.loads(done.stdout) == {"rows": 50, "kept": 50, "rejected": {}}
    assert "1 workers instead of 4: the cluster has no room for more" in done.stderr


def test_a_command_that_is_killed_is_gone_on_with_by_the_other_engine(slow, tmp_path, environment):
    write_seeds(tmp_path, 160)
    arguments = ["--language", "epo", "--seeds", "seeds.jsonl", "--output", "pairs.jsonl", "--translator", slow]
    command = [sys.executable, "-m", "haystack_lrl.cli", "translate", *arguments, "--no-gate", "--engine", "ray"]
    written = tmp_path / "pairs.jsonl.partial"
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    end = time.monotonic() + 400
    while not (written.exists() and written.read_bytes().count(b"\n") >= 10):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = written.read_bytes()
    done = {json.loads(line)["english_query"] for line in kept[: kept.rfind(b"\n")].splitlines()}
    assert len(done) < 160
    time.sleep(5)  # in which Ray notices, and ends its workers
    (tmp_path / "asked.txt").write_text("")
    counts, _ = run_job(
        Translation("epo", slow, gate=None), tmp_path / "seeds.jsonl", tmp_path / "pairs.jsonl", progress=False
    )
    assert counts.to_json() == {"rows": 160, "kept": 160, "rejected": {}}
    rows = [row for _, row in read_jsonl(tmp_path / "pairs.jsonl")]
    assert len({row["key"] for row in rows}) == len(rows) == 160
    assert not done & set((tmp_path / "asked.txt").read_text().splitlines())


@pytest.mark.parametrize("output", ["pairs.jsonl", "pairs/"])
def test_kills_at_random_times_lose_and_double_no_row(slow, tmp_path, environment, output):
    """Six each, of workers and whole commands by turns; test_indexing_ray_faults adds eight."""
    write_seeds(tmp_path, 300)
    arguments = ["--language", "epo", "--seeds", "seeds.jsonl", "--translator", slow, "--output", output]
    command = [sys.executable, "-m", "haystack_lrl.cli", "translate", *arguments, "--no-gate", "--engine", "ray"]
    asked = tmp_path / "asked.txt"
    for run in range(RUNS):
        before = asked.stat().st_size if asked.exists() else 0
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        begun = partial(lambda size: asked.exists() and asked.stat().st_size > size, before)
        assert kill_both(process, random.Random(run), begun) == 2
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 300, "kept": 300, "rejected": {}}
    rows = [row.values for row in read_rows(tmp_path / output)]
    assert len({row["key"] for row in rows}) == len(rows) == 300


CHAT = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from chat_server import ChatServer, question_of, source_of

def answer(request):
    time.sleep(0.05)
    return json.dumps({key: f"{text[::-1]} oj" for key, text in source_of(question_of(request)).items()})

with ChatServer(answer, [{"id": "m"}]).running_at(int(sys.argv[2])) as url:
    print(url, flush=True)
    time.sleep(1000)
"""


@contextlib.contextmanager
def chat_server(port=0):
    """A server in a process of its own."""
    command = [sys.executable, "-c", CHAT, str(Path(__file__).parents[1]), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def test_a_generation_server_that_is_killed_costs_a_rerun(tmp_path, environment):
    write_seeds(tmp_path, 200)
    arguments = ["--language", "epo", "--seeds", "seeds.jsonl", "--output", "pairs.jsonl", "--no-gate"]
    command = [sys.executable, "-m", "haystack_lrl.cli", "translate", *arguments, "--engine", "ray"]
    written = tmp_path / "pairs.jsonl.partial"
    with chat_server() as (server, url):
        command += ["--translator", f"chat:{url}#m"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        while not (written.exists() and written.read_bytes().count(b"\n") >= 10):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        server.kill()
        _, said = process.communicate(timeout=400)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("Error: ")
    assert f"The chat model at {url} gave no answer" in said.splitlines()[-1]
    made = [line for line in written.read_text().splitlines() if line.endswith("}")]
    assert 10 <= len(made) < 200
    with chat_server(int(url.split(":")[2].split("/")[0])):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 200, "kept": 200, "rejected": {}}
    rows = [row for _, row in read_jsonl(tmp_path / "pairs.jsonl")]
    assert len({row["key"] for row in rows}) == len(rows) == 200


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for a few dozen rows."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("output", ["pairs.jsonl", "pairs/"])
def test_a_full_disk_is_one_sentence_and_a_rerun_completes(apertium, small_disk, tmp_path, environment, output):
    write_seeds(tmp_path, 300)
    arguments = ["--language", "epo", "--seeds", str(tmp_path / "seeds.jsonl"), "--output", output, "--no-gate"]
    command = [sys.executable, "-m", "haystack_lrl.cli", "translate", *arguments, "--translator", apertium]
    command += ["--engine", "ray"]
    done = subprocess.run(command, cwd=small_disk, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert "run the same command again" in done.stderr.splitlines()[-1]
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    done = subprocess.run(command, cwd=small_disk, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 300, "kept": 300, "rejected": {}}
    rows = [row.values for row in read_rows(small_disk / output)]
    assert len({row["key"] for row in rows}) == len(rows) == 300


@pytest.fixture(scope="module")
def cluster():
    """Three nodes, the first without a processor for workers."""
    from haystack_lrl.engine.cluster import load_ray

    load_ray()
    from ray.cluster_utils import Cluster

    os.environ["RAY_AUTH_MODE"] = "disabled"
    head = {"num_cpus": 0, "object_store_memory": 10**8, "include_dashboard": False, "ray_client_server_port": 23456}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=10**8) for _ in range(2)]
    yield cluster, nodes
    cluster.shutdown()


def joined(cluster, folder, environment, translator, *more, address=None):
    address = address or cluster.address
    command = [sys.executable, "-c", JOINED, translator, address, *more]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_another_version_of_ray_is_one_sentence(cluster, apertium, tmp_path, environment):
    write_seeds(tmp_path, 5)
    _, said = joined(cluster[0], tmp_path, environment, apertium, "2.59.0").communicate(timeout=300)
    assert "runs Ray 2.60.0 and Python" in said
    assert "but this machine Ray 2.59.0 and Python" in said
    assert "install the same versions everywhere" in said.splitlines()[-1]


def test_a_machine_outside_the_cluster_has_the_work_done_inside(cluster, apertium, tmp_path, environment):
    write_seeds(tmp_path, 40)
    process = joined(cluster[0], tmp_path, environment, apertium, address="ray://127.0.0.1:23456")
    said, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert json.loads(said) == {"rows": 40, "kept": 40, "rejected": {}}
    assert len(list(read_jsonl(tmp_path / "pairs.jsonl"))) == 40


def test_a_machine_outside_the_cluster_has_words_counted_inside(cluster, tiny_model, tmp_path, environment):
    toy.write_jsonl(tmp_path / "documents.jsonl", [{"text": f"garden bridge {n}"} for n in range(40)])
    command = [sys.executable, "-c", COUNTED, str(tiny_model), "ray://127.0.0.1:23456"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["garden"] == 40


def test_a_node_that_dies_costs_no_row(cluster, slow, tmp_path, environment):
    write_seeds(tmp_path, 120)
    process = joined(cluster[0], tmp_path, environment, slow)
    written = tmp_path / "pairs.jsonl.partial"
    while not (written.exists() and written.read_bytes().count(b"\n") >= 5):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    cluster[0].remove_node(cluster[1].pop(), allow_graceful=False)
    said, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    assert json.loads(said) == {"rows": 120, "kept": 120, "rejected": {}}
    rows = [row for _, row in read_jsonl(tmp_path / "pairs.jsonl")]
    assert len({row["key"] for row in rows}) == len(rows) == 120

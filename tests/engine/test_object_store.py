"""Commands whose input and output lie in an S3 server: a real one over HTTP, whose store is its memory."""

import gzip
import json
import random
import subprocess
import sys
import urllib.request
from functools import partial

import pytest
from ray_processes import kill_both

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line
from haystack_lrl.records.parts import read_rows
from haystack_lrl.records.places import files_of, listed, make_folder, put, remove

boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def address():
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(address, monkeypatch):
    """An empty bucket, which this process and those that it starts find as users do: by the environment."""
    named = {"ENDPOINT_URL": address, "DEFAULT_REGION": "us-east-1", "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "any"}
    for name, value in named.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    boto3.client("s3").create_bucket(Bucket="corpus")
    yield "s3://corpus"
    urllib.request.urlopen(f"{address}/moto-api/reset", data=b"").close()


def test_files_are_found_put_and_removed(bucket):
    for name in ("seeds/a.jsonl", "seeds/deep/b.jsonl.gz", "seeds/notes.txt", "other.jsonl"):
        put(f"{bucket}/{name}", b"")
    seeds = [f"{bucket}/seeds/a.jsonl", f"{bucket}/seeds/deep/b.jsonl.gz"]
    assert files_of(f"{bucket}/seeds") == files_of(f"{bucket}/seeds/") == seeds
    assert files_of(f"{bucket}/seeds/*.jsonl") == files_of(seeds[0]) == seeds[:1]
    assert files_of(f"{bucket}/*/deep/*.gz") == seeds[1:]
    make_folder(f"{bucket}/new")
    assert listed(f"{bucket}/new") == []
    put(f"{bucket}/new/_unfinished", b"")
    with pytest.raises(InputError, match="s3://corpus/new is not finished"):
        files_of(f"{bucket}/new")
    remove(f"{bucket}/new/_unfinished")
    assert listed(f"{bucket}/new") == []


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_in_the_store(bucket, slow, environment):
    rows = [{"query": f"river bridge {n}", "passage": f"The music of the garden {n}"} for n in range(300)]
    lines = [dump_line(row).encode() for row in rows]
    put(f"{bucket}/seeds/half.jsonl", b"".join(lines[:150]))
    put(f"{bucket}/seeds/rest.jsonl.gz", gzip.compress(b"".join(lines[150:])))
    command = translation(f"{bucket}/seeds/", f"{bucket}/pairs/", slow)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    begun = partial(has_shards, f"{bucket}/pairs")
    assert kill_both(process, random.Random(13), begun) == 2
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 300, "kept": 300, "rejected": {}}
    made = [row.values for row in read_rows(f"{bucket}/pairs/")]
    assert sorted(row["english_query"] for row in made) == sorted(row["query"] for row in rows)
    assert f"{bucket}/pairs/_manifest.json" in listed(f"{bucket}/pairs")


@pytest.mark.slow
def test_a_bucket_that_is_missing_is_one_sentence(bucket, apertium, environment):
    command = translation("s3://missing/seeds/", f"{bucket}/pairs/", apertium)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Error: s3://missing/seeds/ is not a file: check the path."


def translation(seeds, output, translator):
    arguments = ["--language", "epo", "--seeds", seeds, "--translator", translator, "--output", output]
    return [sys.executable, "-m", "haystack_lrl.cli", "translate", *arguments, "--no-gate", "--engine", "ray"]


def has_shards(folder):
    return any(path.startswith(f"{folder}/part-") for path in listed(folder))

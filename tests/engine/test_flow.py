"""Errors that a user can mend travel as values; a bug does not."""

import errno
import socket

import pytest

from haystack_lrl.engine.flow import RETRIES, surviving, told, values_of
from haystack_lrl.engine.shards import Shards
from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.records.parts import read_rows
from haystack_lrl.records.places import put


def failing(error):
    yield "made before"
    raise error


def carried(error):
    """Return what arrives of an error after a value."""
    first, second = told(failing(error))
    assert list(values_of(first)) == ["made before"]
    with pytest.raises(InputError) as caught:
        list(values_of(second))
    return str(caught.value)


@pytest.mark.parametrize("kind", [InputError, MissingExtraError])
def test_what_was_made_before_an_error_arrives_with_it(kind):
    assert carried(kind("one sentence")) == "one sentence"


def test_a_full_disk_names_the_node():
    said = carried(OSError(errno.ENOSPC, "No space left on device", "/data/part-1.jsonl"))
    assert said.startswith(f"/data/part-1.jsonl on the node {socket.gethostname()} could not be written (No space left")
    assert said.endswith("mend that and run the same command again.")


@pytest.mark.parametrize("error", [KeyError("x"), OSError(errno.EIO, "broken")])
def test_a_bug_is_no_sentence(error):
    with pytest.raises(type(error)):
        list(told(failing(error)))


ROWS = [("k1", {"query": "a"}), ("k2", {"query": "b"})]


@pytest.mark.parametrize("url", [False, True])
def test_shards_are_named_by_their_keys_and_written_whole(tmp_path, url):
    shards = Shards(f"file://{tmp_path}/out" if url else str(tmp_path / "out"), "s")
    assert shards.found() == []
    shards.begin()
    name = shards.write(ROWS)
    assert shards.write(ROWS) == name != shards.write(ROWS[:1])
    assert name in shards.found()
    assert len(list((tmp_path / "out").iterdir())) == 3  # with the mark that it is not finished
    with pytest.raises(InputError, match="is not finished"):
        list(read_rows(shards.folder))


def test_a_folder_of_something_else_is_refused(tmp_path):
    put(f"{tmp_path}/mine.jsonl", b"{}")
    with pytest.raises(InputError, match=r"holds mine.jsonl, which is not of this command"):
        Shards(str(tmp_path), "s").found()


def test_work_is_done_anew_when_a_node_is_gone_before_ray_knows(caplog):
    from ray.exceptions import ActorUnavailableError

    tries = iter(range(10))

    def gone(times):
        def work():
            if (this := next(tries)) < times:
                raise ActorUnavailableError("no connection", actor_id=None)
            return this

        return work

    assert surviving(gone(2)) == 2
    assert caplog.text.count("does not answer any more") == 2
    with pytest.raises(ActorUnavailableError):
        surviving(gone(99))
    assert next(tries) == 3 + RETRIES

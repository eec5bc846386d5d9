import pytest

from haystack_lrl.records.folders import last_whole_checkpoint, writing_folder


def test_a_folder_exists_when_it_is_whole_and_replaces_what_had_its_name(tmp_path):
    for leftover in ("model", "model.partial"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "old").touch()
    with writing_folder(tmp_path / "model") as partial:
        (partial / "new").touch()
        assert (tmp_path / "model" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]


def test_an_error_leaves_the_folder_as_it_was(tmp_path):
    with pytest.raises(OSError, match="full"), writing_folder(tmp_path / "deep" / "model"):
        raise OSError("the disk is full")
    assert not (tmp_path / "deep" / "model").exists()


def checkpoint(folder, step, state):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "model.safetensors").touch()
    if state is not None:
        (path / "trainer_state.json").write_text(state, encoding="utf-8")
    return path


def test_half_written_checkpoints_are_deleted_and_the_one_before_is_taken(tmp_path):
    old, whole = checkpoint(tmp_path, 9, "{}"), checkpoint(tmp_path, 10, "{}")
    torn, bare = checkpoint(tmp_path, 11, '{"global_step": 1'), checkpoint(tmp_path, 100, None)
    assert last_whole_checkpoint(tmp_path) == str(whole)
    assert not torn.exists()
    assert not bare.exists()
    assert old.exists()


def test_without_a_checkpoint_training_begins_anew(tmp_path):
    assert last_whole_checkpoint(tmp_path / "missing") is None
    checkpoint(tmp_path, 4, None)
    assert last_whole_checkpoint(tmp_path) is None
    assert list(tmp_path.iterdir()) == []

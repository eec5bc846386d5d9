"""A real Ray of two processors on this machine."""

import os
import shutil
import sys
import tempfile

import pytest

pytest.importorskip("ray")

STORE = 100 * 2**20  # bytes of shared memory


@pytest.fixture(scope="session")
def ray_here():
    """Ray, started; what `joined` finds it leaves running."""
    from haystack_lrl.engine.cluster import load_ray

    ray = load_ray()
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    given = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False, "object_store_memory": STORE}
    for attempt in range(3):
        try:
            ray.init(address="local", _temp_dir=folder, **given)
            break
        except Exception as error:
            if "timed out during startup" not in str(error) or attempt == 2:  # 30 seconds, which a busy machine exceeds
                raise
            ray.shutdown()
    yield ray
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


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
def environment():
    """Of commands that start their own Ray."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

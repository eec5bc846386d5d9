"""What all tests share: no network, no telemetry, and the folder of real weights where there is one."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's workers give way to everything else on a busy machine


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository that holds small real weights and data."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder 'shared' with real weights is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real 2-layer SentenceTransformer without prompts."""
    from toy import build_tiny_model

    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_model_with_prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the prompts of the E5 family stored in its configuration."""
    from toy import build_tiny_model

    prompts = {"query": "query: ", "document": "passage: "}
    return build_tiny_model(tmp_path_factory.mktemp("models") / "prompted", prompts=prompts)


@pytest.fixture
def tiny(tiny_model: Path):
    """The tiny model, freshly loaded: a test may change its weights."""
    from haystack_lrl.encoding.encoder import load_model

    return load_model(tiny_model, device="cpu")


@pytest.fixture(scope="session")
def ray_here():
    """A real Ray of two processors, started; what `joined` finds it leaves running."""
    pytest.importorskip("ray.data", reason="the extra ray is not installed")
    from haystack_lrl.engine.cluster import load_ray

    ray = load_ray()
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    given = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False, "object_store_memory": 100 * 2**20}
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

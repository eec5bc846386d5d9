"""What all tests share: no network, no telemetry, and the folder of real weights where there is one."""

import os
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

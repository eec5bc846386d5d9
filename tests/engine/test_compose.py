"""The small cluster for Docker: what can be checked without starting it."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_cluster_runs_the_ray_that_is_tested():
    services = yaml.safe_load((ROOT / "pipelines" / "cluster.yaml").read_text(encoding="utf-8"))["services"]
    tested = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert set(services) == {"ray-head", "ray-worker"}
    for service in services.values():
        assert f"rayproject/ray:{tested}-py311" in service["image"]
        assert "ports" not in service  # its ports run code from whoever reaches them
        assert service["volumes"] == ["${LRL_FOLDER:-.}:/data"]
    assert "--head --port=6379" in services["ray-head"]["environment"]["RAY_ROLE"]
    assert services["ray-worker"]["environment"]["RAY_ROLE"] == "--address=ray-head:6379"

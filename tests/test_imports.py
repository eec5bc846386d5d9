"""Imports run one way, and the command line starts without the heavy libraries."""

import ast
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "haystack_lrl"

# each may import itself and what stands to its right
ORDER = (
    "cli",
    "quickstart",
    "planning",
    "estimate",
    "run",
    "inputs",
    "sources",
    "files",
    "exporting",
    "measure",
    "stages",
    "rundir",
    "recipe",
    "making_test_sets",
    "evaluation",
    "engine",
    "adaptation",
    "curation",
    "synthesis",
    "encoding",
    "languages",
    "records",
)


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room_of(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "haystack_lrl" and len(parts) > 1 else None


def test_every_module_imports_only_from_the_layers_below_it():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ORDER:
            assert room in {"__init__", "samples", "recipes"}, f"{room} has no place in the order"
            continue
        allowed = ORDER[ORDER.index(room) :]
        for module in imports_of(path):
            other = room_of(module)
            if other is not None and other not in allowed:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong


def test_the_library_does_not_know_components_and_pipelines():
    """Only the command line puts them together, and the quickstart shows them off."""
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(re.match(r"pipelines\b|haystack_integrations\.components\.\w+\.lrl", name) for name in imports_of(path))
    }
    assert {user for user in users if not user.startswith("cli/")} == {"quickstart.py"}


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom haystack_lrl.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'transformers', 'haystack', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_without_an_engine_nothing_loads_ray(tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"query": "a river", "passage": "the bridge"}\n')
    code = (
        "import sys\nfrom haystack_lrl.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print(sorted({'ray', 'pyarrow'} & set(sys.modules)))"
    )
    arguments = ["translate", "--language", "epo", "--seeds", "seeds.jsonl", "--translator", "command:cat"]
    arguments += ["--no-gate", "--quiet", "--max-copied", "1", "--output", "pairs.jsonl"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip().endswith("[]")


def test_haystack_integrations_is_a_namespace():
    root = PACKAGE.parent / "haystack_integrations"
    for folder in (root, root / "components", root / "components" / "embedders", root / "document_stores"):
        assert folder.is_dir()
        assert not (folder / "__init__.py").exists()

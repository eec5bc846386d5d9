"""Adapt an embedder to a language from Python, and print what that gained.

    python examples/adapt_from_python.py --language epo --seeds seeds.jsonl --translator "command:apertium -u en-eo" \
        --base-model PATH_OR_HUB_ID --output runs/epo

It is what `haystack-lrl adapt` does. Killed runs go on where they stopped: run it again.
"""

import argparse
from pathlib import Path

from haystack_lrl.estimate import estimate
from haystack_lrl.evaluation.table import text_table
from haystack_lrl.recipe import build
from haystack_lrl.run import adapt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--language", default="epo")
parser.add_argument("--seeds", default="seeds.jsonl", help='lines of {"query": ..., "passage": ...} in English')
parser.add_argument("--translator", default="command:apertium -u en-eo")
parser.add_argument("--base-model", required=True)
parser.add_argument("--test-set", help="BEIR folder; without one, a tenth of the pairs is held out")
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--output", type=Path, default=Path("runs/epo"))
options = parser.parse_args()

# any setting of `haystack-lrl adapt --print-recipe` may stand here
settings = {
    "language": options.language,
    "seeds": options.seeds,
    "translator": options.translator,
    "base_model": options.base_model,
    "training": {"epochs": options.epochs},
    "evaluation": {"test_sets": [options.test_set] if options.test_set else []},
}
recipe = build(settings, "settings of adapt_from_python.py")
print(estimate(recipe))

metrics = adapt(recipe, options.output)
print(text_table(metrics))
print(metrics["verdict"]["sentence"])
print(f"The model is in {options.output / 'model'}, the report in {options.output / 'report.html'}.")

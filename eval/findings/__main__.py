r"""Test every claim.

Usage:
    python -m eval.findings --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

from eval.findings import (
    data_size,
    distillation,
    english_positives,
    hard_negatives,
    language_combinations,
    merging,
    noise,
    recipe_parts,
    task_mixture,
    translation,
    vocabulary_transfer,
)
from eval.findings.claim import main

main(
    data_size,
    translation,
    vocabulary_transfer,
    noise,
    merging,
    hard_negatives,
    task_mixture,
    english_positives,
    recipe_parts,
    language_combinations,
    distillation,
)

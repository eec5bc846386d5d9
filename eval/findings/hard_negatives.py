"""Mined hard negatives against in-batch negatives alone.

Usage:
    python -m eval.findings.hard_negatives --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Hard negatives are essential.",
    "Retrofitting small multilingual models (arXiv 2510.14274)",
    [
        Comparison("hard negatives", "translated"),
        Comparison("hard negatives", "translated", "better", "accuracy@1"),
        Comparison("hard negatives", "translated", "no worse", "English nDCG@10"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

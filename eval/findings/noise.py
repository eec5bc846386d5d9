"""What noise in the translations costs.

Usage:
    python -m eval.findings.noise --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Noise in the translations hardly matters.",
    "Less is More (arXiv 2603.22290)",
    [
        Comparison("10% noise", "translated", "no worse"),
        Comparison("30% noise", "translated", "no worse"),
        Comparison("50% noise", "translated", "no worse"),
        Comparison("50% noise", "in English"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

"""What averaging with the base keeps.

Usage:
    python -m eval.findings.merging --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Merging with the base keeps what it knew, at no cost in the language.",
    "Less is More (arXiv 2603.22290), after WiSE-FT (arXiv 2109.01903)",
    [
        Comparison("translated", "not merged", "better", "English nDCG@10"),
        Comparison("translated", "not merged", "no worse"),
        Comparison("translated", "base", "no worse", "English nDCG@10"),
        Comparison("base", "not merged", "better", "English nDCG@10"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

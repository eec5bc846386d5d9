"""Why pairs spread over three combinations of languages taught less.

Usage:
    python -m eval.findings.language_combinations --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Pairs spread over translated, cross-lingual and English ones do no worse than as many translated ones.",
    "method of SWIM-IR (arXiv 2311.05800), in a trial by hand",
    [
        Comparison("plain, three combinations", "plain", "no worse"),
        Comparison("plain, three combinations", "plain, a third of the pairs"),
        Comparison("plain, a third of the pairs", "plain", "no worse"),
        Comparison("plain, three combinations", "plain", "better", "accuracy@1"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

"""Why learning the English sides' vectors made the plain recipe worse.

Usage:
    python -m eval.findings.distillation --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Giving translations the vectors of their English sides teaches the language as well as telling passages apart.",
    "multilingual distillation (arXiv 2004.09813), in a trial by hand",
    [
        Comparison("plain, distilled", "plain", "no worse"),
        Comparison("plain, distilled", "base"),
        Comparison("plain, distilled", "plain", "no worse", "accuracy@1"),
        Comparison("plain, distilled", "plain", "better", "cosine of unrelated"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

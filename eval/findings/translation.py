"""Whether it is the translation that helps, or training on such pairs in any language.

Usage:
    python -m eval.findings.translation --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Training on noisy translations helps, and the same pairs left in English do not.",
    "Less is More (arXiv 2603.22290), without that control",
    [
        Comparison("translated", "in English"),
        Comparison("plain", "plain in English"),
        Comparison("translated", "base"),
        Comparison("plain in English", "base"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

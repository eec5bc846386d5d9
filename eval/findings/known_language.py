"""New words for a base that knows the language already, in the pieces of its old vocabulary.

Usage:
    python -m eval.findings.known_language --pairs kept.jsonl --base-model PLAIN --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work A_FOLDER_OF_ITS_OWN

PLAIN is MiniLM trained on all pairs without new words, as `parts.py` leaves it in `plain`.
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "New words help a base that knows the language already.",
    "open: the papers give new words to bases that do not",
    [
        Comparison("words untrained", "base"),
        Comparison("translated", "plain"),
        Comparison("translated", "plain", measure="accuracy@1"),
        Comparison("words untrained", "base", "no worse", "English nDCG@10"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

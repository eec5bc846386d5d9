"""New words without training against training without new words.

Usage:
    python -m eval.findings.vocabulary_transfer --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Vocabulary transfer by lexicon alone does more than training alone.",
    "trials by hand on this data",
    [
        Comparison("words untrained", "plain"),
        Comparison("translated", "words untrained"),
        Comparison("translated", "plain"),
        Comparison("words untrained", "base", "no worse", "English nDCG@10"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

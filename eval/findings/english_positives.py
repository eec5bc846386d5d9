"""Training on (query of the language, English passage), the format of XL-LoRA, against both in the language.

Usage:
    python -m eval.findings.english_positives --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Triplets whose positives and negatives are English train the language as well as triplets of its own.",
    "Bootstrapping embeddings (arXiv 2603.01732): the parallel seeds stand in for the generator",
    [
        Comparison("English positives and negatives", "hard negatives", "no worse"),
        Comparison("English positives", "translated", "no worse"),
        Comparison("English positives and negatives", "hard negatives", "better", "accuracy@1"),
        Comparison("English positives and negatives", "words untrained"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

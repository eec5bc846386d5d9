"""A mixture of titles, questions and questions about abstracts against one of these, of as many pairs.

Usage:
    python -m eval.findings.task_mixture --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Task diversity counts.",
    "Retrofitting small multilingual models (arXiv 2510.14274)",
    [
        Comparison("translated", "titles only"),
        Comparison("translated", "questions only"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

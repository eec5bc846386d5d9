"""What more translated pairs bring.

Usage:
    python -m eval.findings.data_size --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "Fewer than 10,000 pairs degrade clearly; 10,000 bring most of the gain.",
    "Less is More (arXiv 2603.22290)",
    [  # `translated` is 1,000 pairs
        Comparison("8,114 pairs", "translated"),
        Comparison("8,114 pairs", "3,000 pairs"),
        Comparison("3,000 pairs", "translated"),
        Comparison("translated", "base"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

"""What prompts, negatives, untranslated passages, temperature and batch add to the default recipe.

Usage:
    python -m eval.findings.recipe_parts --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --parallel tatoeba-epo-eng.jsonl.gz --work FOLDER
"""

import sys

from eval.findings.claim import Claim, Comparison, main

CLAIM = Claim(
    "None of these changes beats the default recipe.",
    "the recipe of this project",
    [
        Comparison("translated", "prompts", "no worse"),
        Comparison("translated", "hard negatives", "no worse"),
        Comparison("translated", "half with English passages", "no worse"),
        Comparison("translated", "scale 10", "no worse"),
        Comparison("translated", "scale 50", "no worse"),
        Comparison("translated", "batch 16", "no worse"),
        Comparison("translated", "batch 128", "no worse"),
        Comparison("half with English passages", "translated", "better", "accuracy@1"),
    ],
)

if __name__ == "__main__":
    main(sys.modules[__name__])

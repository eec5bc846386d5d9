"""The language gate on people's sentences: what it rejects of them, and what it catches in the wrong language.

Usage:
    python eval/language_gate.py --parallel ntrex.jsonl.gz --tatoeba tatoeba-epo-eng.jsonl.gz \
        --output eval/results/language_gate.json

The data is that of language_identification.py. `documents` are its news articles, in Esperanto ten sentences each;
`every second sentence English` are two of each in turn.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from language_identification import LENGTHS, Texts, first_words, read_sentences, share

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.languages.gate import GateSettings, LanguageGate
from haystack_lrl.languages.identify import knows
from haystack_lrl.languages.table import LANGUAGES, language
from haystack_lrl.records.jsonl import read_jsonl, write_json

_CUTS = LENGTHS | {"first three": lambda text: first_words(text, 3)}


def rejected(gate: LanguageGate, texts: list[str]) -> dict[str, Any]:
    """Return the share of texts that the gate rejects, with its interval and the reasons."""
    reasons = Counter(reason for text in texts if (reason := gate.check(text)))
    return share(reasons.total(), len(texts)) | {"reasons": dict(reasons.most_common())}


def read_documents(parallel: Path, texts: Texts) -> Texts:
    """Return the articles of the parallel corpus, and Esperanto sentences by ten."""
    rows = [row for _, row in read_jsonl(parallel)]
    articles = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row["document"])]
    documents = {code: [" ".join(row[code] for row in rows) for rows in articles] for code in texts if code != "epo"}
    tens = range(0, len(texts["epo"]), 10)
    return documents | {"epo": [" ".join(texts["epo"][start : start + 10]) for start in tens]}


def in_turn(own: list[str], english: list[str]) -> list[str]:
    """Return texts of four sentences, every second one English."""
    starts = range(0, min(len(own), len(english)) - 3, 4)
    return [" ".join((own[i], english[i + 1], own[i + 2], english[i + 3])) for i in starts]


def measure(texts: Texts, documents: Texts) -> dict[str, Any]:
    """Return how often true text is rejected, and how often each language is caught in place of each other one."""
    gates = {code: LanguageGate(language(code)) for code in texts}
    cuts = {length: {code: list(map(cut, rows)) for code, rows in texts.items()} for length, cut in _CUTS.items()}
    strangers = [row for row in LANGUAGES if not knows(row)]
    stranger = LanguageGate(next(row for row in strangers if row.scripts == ("Latin",)))
    result: dict[str, Any] = {
        "true text rejected": {
            length: {code: rejected(gates[code], rows[code]) for code in texts}
            for length, rows in (cuts | {"documents": documents}).items()
        },
        "other language caught": {
            length: {
                wanted: {given: rejected(gate, rows[given])["share"] for given in texts if given != wanted}
                for wanted, gate in gates.items()
            }
            for length, rows in cuts.items()
        },
        "every second sentence English, caught": {
            code: rejected(gates[code], in_turn(rows, texts["eng"])) for code, rows in texts.items() if code != "eng"
        },
        "languages without an identifier": [row.code for row in strangers],
        "English caught for one of them in Latin script": {
            length: rejected(stranger, rows["eng"]) for length, rows in cuts.items()
        },
    }
    return result | {
        "median microseconds a sentence": {code: _speed(gates[code], rows) for code, rows in texts.items()}
    }


def _speed(gate: LanguageGate, texts: list[str]) -> float:
    seconds = []
    for text in texts:
        start = time.perf_counter()
        gate.check(text)
        seconds.append(time.perf_counter() - start)
    return round(statistics.median(seconds) * 1e6, 1)


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("parallel", "tatoeba", "output"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    options = parser.parse_args()
    texts = read_sentences(options.parallel, options.tatoeba)
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {"py3langid": version("py3langid"), "python": sys.version.split()[0]},
        "settings": asdict(GateSettings()),
        "sentences": {code: len(rows) for code, rows in texts.items()},
    } | measure(texts, read_documents(options.parallel, texts))
    write_json(options.output, outcome)
    print(json.dumps(outcome["true text rejected"], indent=2))


if __name__ == "__main__":
    main()

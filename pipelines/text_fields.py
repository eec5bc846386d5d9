"""How text is searched by BM25: the language's built-in analyzer, or three fields that serve any other language.

The three are the beginnings of words (a stemmer for languages that have none), neighbouring beginnings (phrases), and
runs of three and four characters inside words (prefixes, compounds, scripts without spaces). They were chosen on dev
pairs in eleven languages, see eval/bm25_analyzers.py. Runs come from a tokenizer: OpenSearch's n-gram token filter puts
all runs of a word at one place, where a query takes them for synonyms, so that any run stands for the word.
"""

from typing import Any

from haystack_lrl.languages.table import Language

PREFIX = 5
"""Letters of a word that are a search token where the language has no analyzer."""

_RUNS = (3, 4)  # characters, with a mark on both sides of the word: 3 for syllabic scripts, 4 for alphabets
_RUN_WEIGHT, _PAIR_WEIGHT = 0.5, 0.3  # a word has many runs, and each adds to the score
# a query of more than 1,024 tokens in all fields is refused by the server, so each field takes the first of them
_WORDS_ASKED, _RUNS_ASKED = 200, 600
_MARKS = ["non_spacing_mark", "combining_spacing_mark"]  # vowel signs of Indic scripts, tone marks


def text_settings(language: Language, *, built_in: bool = True) -> dict[str, Any]:
    """Return the index settings for the text fields: which are searched, with weights, and their analyzers.

    `index.query.default_field` makes a stock BM25 retriever search these fields and no metadata.

    :param built_in: False ignores the language's analyzer, which tells what it is worth.
    """
    if built_in and language.analyzer != "standard":
        return {"index.query.default_field": ["content"]}
    lower = {"type": "lowercase", **({"language": "turkish"} if language.dotless_i else {})}
    return {
        "index.query.default_field": ["content", f"content.pairs^{_PAIR_WEIGHT}", f"content.runs^{_RUN_WEIGHT}"],
        "analysis": {
            "char_filter": {
                "ends": {"type": "pattern_replace", "pattern": r"([\p{L}\p{M}\p{N}]+)", "replacement": "_$1_"}
            },
            "tokenizer": {
                "runs": {
                    "type": "ngram",
                    "min_gram": _RUNS[0],
                    "max_gram": _RUNS[1],
                    "token_chars": ["letter", "digit", *_MARKS, "custom"],
                    "custom_token_chars": "_",
                }
            },
            "filter": {
                "lower": lower,
                "beginning": {"type": "truncate", "length": PREFIX},
                "pair": {"type": "shingle", "output_unigrams": False},
                "words_asked": {"type": "limit", "max_token_count": _WORDS_ASKED},
                "runs_asked": {"type": "limit", "max_token_count": _RUNS_ASKED},
            },
            "analyzer": _analyzers(),
        },
    }


def _analyzers() -> dict[str, Any]:
    """Return the analyzer of each field and, named `..._asked`, the same for queries of any length."""
    beginnings = {"type": "custom", "tokenizer": "standard", "filter": ["lower", "beginning"]}
    pairs = {**beginnings, "filter": ["lower", "beginning", "pair"]}
    runs = {"type": "custom", "char_filter": ["ends"], "tokenizer": "runs", "filter": ["lower"]}
    return {
        "beginnings": beginnings,
        "pairs": pairs,
        "runs": runs,
        "beginnings_asked": {**beginnings, "filter": [*beginnings["filter"], "words_asked"]},
        "pairs_asked": {**pairs, "filter": [*pairs["filter"], "words_asked"]},
        "runs_asked": {**runs, "filter": [*runs["filter"], "runs_asked"]},
    }


def text_mapping(language: Language, *, built_in: bool = True) -> dict[str, Any]:
    """Return the mapping of the field `content`.

    :param built_in: as in `text_settings`.
    """
    if built_in and language.analyzer != "standard":
        return {"type": "text", "analyzer": language.analyzer}
    extra = {name: {**_field(name), "index_options": "freqs"} for name in ("pairs", "runs")}  # no phrases are asked of
    return {**_field("beginnings"), "fields": extra}


def _field(analyzer: str) -> dict[str, Any]:
    return {"type": "text", "analyzer": analyzer, "search_analyzer": f"{analyzer}_asked"}

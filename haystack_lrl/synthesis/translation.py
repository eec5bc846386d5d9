"""The translation stage: English pairs in, pairs in the language or reasons out."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from haystack_lrl.languages.copies import is_copy
from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Rejected
from haystack_lrl.records.store import Store
from haystack_lrl.synthesis.translator import Texts, Translator, Unusable


def translation_settings(translator: Translator, language: Language) -> dict[str, Any]:
    """Return what the store of a translation is opened with: everything that makes a row differ."""
    return {"stage": "translation", "language": language.code, "translator": dict(translator.identity)}


def translate(pairs: Iterable[Pair], translator: Translator, store: Store) -> Iterator[Pair | Rejected]:
    """Translate the pairs that the store does not hold yet; each row is in the store before it is yielded.

    A pair that comes twice is translated once, so a caller that counts rows calls the rest duplicate seeds.

    :param pairs: English queries and passages.
    :raises InputError: when the translator does not give one result a pair; rows made until then are kept.
    """
    waiting: OrderedDict[str, Pair] = OrderedDict()
    sent = done = 0

    def items() -> Iterator[Texts]:
        nonlocal sent
        for pair in pairs:
            key = store.key(pair.query, pair.passage)
            if key not in store.keys and key not in waiting:
                waiting[key] = pair
                sent += 1
                yield pair.query, pair.passage

    source = items()
    for result in translator.translate(source):
        if not waiting:
            raise _miscounted(translator, sent, done + 1)
        key, pair = waiting.popitem(last=False)
        outcome = _outcome(pair, result)
        store.append(key, outcome.to_json())
        done += 1
        yield outcome
    for _ in source:  # what a translator that stopped early never took
        pass
    if waiting:
        raise _miscounted(translator, sent, done)


def _miscounted(translator: Translator, sent: int, results: int) -> InputError:
    return InputError(
        f"The translator {type(translator).__name__} gave {results} results for {sent} pairs, but must give one for "
        "each, in order: mend it, and delete the rows made with it, since they may belong to other pairs."
    )


def _outcome(pair: Pair, result: Texts | Unusable) -> Pair | Rejected:
    source = replace(pair, query="", passage="", english_query=pair.query, english_passage=pair.passage)
    if isinstance(result, Unusable):
        return Rejected(source, result.reason, result.raw)
    query, passage = result
    return replace(source, query=query, passage=passage)


def copied_share(pairs: Iterable[Pair]) -> float:
    """Return the share of translated pairs whose query or passage is a copy of its source, from 0 to 1.

    Pairs without letters on the English side do not count.
    """
    total = copies = 0
    for pair in pairs:
        total += any(map(str.isalpha, pair.english_query + pair.english_passage))
        copies += is_copy(pair.english_query, pair.query) or is_copy(pair.english_passage, pair.passage)
    return copies / total if total else 0.0

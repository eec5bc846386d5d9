import asyncio
import unicodedata

import pytest
from haystack import Pipeline

from haystack_integrations.components.preprocessors.lrl import LRLQueryCleaner
from haystack_lrl.records.errors import InputError


def cleaned(query, **settings):
    return LRLQueryCleaner(**settings).run(query)["query"]


def test_the_limit_is_kept_and_written_to_yaml():
    assert LRLQueryCleaner().max_characters == 1000
    pipeline = Pipeline()
    pipeline.add_component("query", LRLQueryCleaner(max_characters=7))
    loaded = Pipeline.loads(pipeline.dumps())
    assert loaded.to_dict() == pipeline.to_dict()
    assert loaded.run({"query": {"query": " hundo kaj kato "}}) == {"query": {"query": "hundo k"}}


def test_a_query_is_written_as_documents_are():
    decomposed = unicodedata.normalize("NFD", "ĉevalo")
    assert cleaned(f"\n {decomposed}\t") == "ĉevalo"
    assert cleaned("և") == "և"  # NFKC would make two letters of it


@pytest.mark.parametrize(
    "query", ["AND (", "title:*", '"unclosed', '{"query": {"match_all": {}}}', "a*b?", "\\", "/.*/"]
)
def test_syntax_stays_as_it_was_typed(query):
    assert cleaned(query) == query


def test_a_long_query_is_cut_without_a_blank_at_its_end():
    assert cleaned("vorto " * 2000) == ("vorto " * 167)[:1000].strip()
    assert cleaned("abc def", max_characters=4) == "abc"


def test_half_a_surrogate_pair_is_left_out():
    assert cleaned("hundo \ud83d") == "hundo"


@pytest.mark.parametrize("query", ["", "  \n\t", "\u3000", "\ud83d"])
def test_nothing_to_ask_is_an_error(query):
    with pytest.raises(InputError, match="The query is empty"):
        cleaned(query)


def test_other_types_and_limits_are_errors():
    with pytest.raises(TypeError, match="takes a string, not list"):
        cleaned(["hundo"])
    with pytest.raises(InputError, match="max_characters=0"):
        LRLQueryCleaner(max_characters=0)


def test_it_runs_in_an_asynchronous_pipeline():
    pipeline = Pipeline()
    pipeline.add_component("query", LRLQueryCleaner())
    found = asyncio.run(pipeline.run_async({"query": {"query": " kato "}}))
    assert found == {"query": {"query": "kato"}}

import csv
import gzip
import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from haystack import Document
from scipy import stats
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    TranslationEvaluator,
)
from toy import backwards, toy_seeds, write_jsonl, write_test_set

from haystack_lrl.cli import main
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.answer_recall import answer_recall
from haystack_lrl.evaluation.benchmarks.catalog import LOADERS, load_benchmark, open_test_set, published_figures
from haystack_lrl.evaluation.benchmarks.documents import documents_as_test_set
from haystack_lrl.evaluation.checks import check_vectors
from haystack_lrl.evaluation.run_file import read_run
from haystack_lrl.evaluation.similarity import bitext_accuracy, spearman
from haystack_lrl.evaluation.statistics import bootstrap
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError

SEEDS = toy_seeds(8)
QUERIES = [row["query"] for row in SEEDS]
PASSAGES = [row["passage"] for row in SEEDS]


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def write_table(path, rows, delimiter):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return path


def refused(spec, language, said):
    with pytest.raises(InputError, match=said) as error:
        load_benchmark(spec, language)
    assert "\n" not in str(error.value)


# --- MIRACL


def miracl(folder, qrels=("1#0\tQ0\t10#0\t1", "1#0\tQ0\t10#1\t0", "2#0\tQ0\t11#0\t1")):
    home = folder / "miracl-v1.0-sw"
    write(home / "topics" / "topics.miracl-v1.0-sw-dev.tsv", "1#0\tkwanza", "2#0\tpili", "3#0\ttatu")
    write(home / "topics" / "topics.miracl-v1.0-sw-train.tsv", "9#0\tother")
    write(home / "qrels" / "qrels.miracl-v1.0-sw-dev.tsv", *qrels)
    parts = [
        [{"docid": "10#0", "title": "T", "text": "a"}, {"docid": "10#1", "title": "T", "text": "b"}],
        [{"docid": "11#0", "title": "U", "text": "c"}],
    ]
    for number, rows in enumerate(parts):
        path = folder / "miracl-corpus-v1.0-sw" / f"docs-{number}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder


def test_miracl_is_read_over_all_parts_of_its_corpus(tmp_path):
    test_set = load_benchmark(f"miracl:{miracl(tmp_path)}", "swa")
    assert test_set.queries == {"1#0": "kwanza", "2#0": "pili"}  # the third has no judgement
    assert test_set.documents == {"10#0": "T a", "10#1": "T b", "11#0": "U c"}
    assert test_set.qrels == {"1#0": {"10#0": 1}, "2#0": {"11#0": 1}}


def test_what_is_wrong_with_miracl_is_named(tmp_path):
    refused(
        f"miracl:{miracl(tmp_path, ['1#0	Q0	99#0	1'])}",
        "swa",
        r"dev\.tsv line 1 names the document '99#0', which",
    )
    refused(
        f"miracl:{miracl(tmp_path, ['7#0	Q0	10#0	1'])}", "swa", r"dev\.tsv line 1 names the query '7#0', which"
    )
    refused(
        f"miracl:{miracl(tmp_path, ['1#0	Q0	10#0	0'])}", "swa", r"dev\.tsv gives no query a relevant document"
    )
    again = ["1#0\tQ0\t10#0\t1", "1#0\tQ0\t10#0\t0"]
    refused(f"miracl:{miracl(tmp_path, again)}", "swa", r"dev\.tsv line 2 gives '10#0' the grade 0 for '1#0' after 1")
    corpus = miracl(tmp_path) / "miracl-corpus-v1.0-sw"
    (corpus / "docs-1.jsonl.gz").write_bytes((corpus / "docs-0.jsonl.gz").read_bytes())
    refused(f"miracl:{tmp_path}", "swa", r"docs-1\.jsonl\.gz line 1 repeats the docid '10#0'")
    for part in corpus.iterdir():
        part.write_bytes(gzip.compress(b""))
    refused(f"miracl:{tmp_path}", "swa", "miracl-corpus-v1.0-sw is empty")
    write(tmp_path / "copy" / "topics.miracl-v1.0-yo-dev.tsv", "1\tx")
    refused(f"miracl:{tmp_path}", "swa", r"holds 2 files topics\.miracl-v1\.0-\*-dev\.tsv, such as ")
    write(tmp_path / "copy" / "topics.miracl-v1.0-yo-dev.tsv").unlink()
    write(tmp_path / "miracl-v1.0-sw" / "topics" / "topics.miracl-v1.0-sw-dev.tsv", "kwanza")
    refused(f"miracl:{tmp_path}", "swa", r"dev\.tsv line 1 has no tab")


# --- XOR-Retrieve


def xor(folder, *questions):
    rows = questions or (
        {"id": 1, "question": "doko", "lang": "ja", "answers": ["Tokyo", "Edo"], "split": "dev"},
        {"id": 2, "question": "ka", "lang": "ja", "answers": ["yes"], "split": "dev"},
        {"id": 3, "question": "missä", "lang": "fi", "answers": ["Oulu"], "split": "dev"},
        {"id": 4, "question": "nani", "lang": "ja", "answers": ["no", "rice"], "split": "dev"},
    )
    write_jsonl(folder / "xor_dev_retrieve_eng_span_v1_1.jsonl", rows)
    passages = [["1", 'The "old" city of Tokyo', "Japan"], ["2", "Wheat and barley", "Food"]]
    write_table(folder / "psgs_w100.tsv", [["id", "text", "title"], *passages], "\t")
    return f"xor-retrieve:{folder}"


def test_xor_retrieve_is_read_for_one_language_without_questions_of_yes_and_no(tmp_path):
    read = load_benchmark(xor(tmp_path), "jpn")
    assert read.test_set.queries == {"1": "doko", "4": "nani"}
    assert read.answers == {"1": ["Tokyo", "Edo"], "4": ["rice"]}
    assert read.test_set.documents == {"1": 'Japan The "old" city of Tokyo', "2": "Food Wheat and barley"}
    assert read.texts == {"1": 'The "old" city of Tokyo', "2": "Wheat and barley"}


def test_what_is_wrong_with_xor_retrieve_is_named(tmp_path):
    refused(xor(tmp_path), "hye", r"span_v1_1\.jsonl holds no answered question with lang 'hy'")
    refused(xor(tmp_path, {"id": 1, "question": "x", "lang": "ja"}), "jpn", r"line 1 .* but needs answers")
    refused(xor(tmp_path, {"id": 1, "question": "x", "lang": "ja", "answers": "y"}), "jpn", r"line 1 has answers = 'y'")
    spec = xor(tmp_path)
    write(tmp_path / "psgs_w100.tsv", "id\ttext\ttitle")
    refused(spec, "jpn", r"psgs_w100\.tsv is empty")
    write(tmp_path / "psgs_w100.tsv", "id\ttext\ttitle", "1\tx")
    refused(spec, "jpn", r"psgs_w100\.tsv line 2 ends a row that has not the 3 fields")
    write(tmp_path / "psgs_w100.tsv", "docid\ttext\ttitle", "1\tx\ty")
    refused(spec, "jpn", r"psgs_w100\.tsv line 1 has the columns .* but needs id too")
    with pytest.raises(InputError, match="no relevance judgements"):
        open_test_set(xor(tmp_path), "jpn")


def reference_hits(ctxs, answers, max_token_num):
    """R@kt of one question, as XOR QA's paper defines it, with words between spaces."""
    first = " ".join(" ".join(ctxs).split()[:max_token_num])
    return max(answer in first for answer in answers)


def test_answer_recall_is_the_papers_definition():
    rng = np.random.default_rng(1)
    texts = {f"d{n}": " ".join(rng.choice(list("abcdefghijklmnop"), 6)) for n in range(30)}
    answers = {f"q{n}": [" ".join(rng.choice(list("abcdefghijklmnop"), 2)) for _ in range(3)] for n in range(40)}
    run = {query: dict(zip(texts, rng.random(30), strict=True)) for query in list(answers)[:39]}
    for tokens in (1, 7, 20, 1000):
        expected = [
            reference_hits([texts[d] for d in sorted(texts, key=lambda d: -run[q][d])], answers[q], tokens) for q in run
        ]
        assert answer_recall(answers, texts, run, tokens).tolist() == [*expected, 0]  # the last is not ranked
    assert 0 < answer_recall(answers, texts, run, 20).mean() < answer_recall(answers, texts, run, 1000).mean()
    assert answer_recall({"q": ["a"]}, {"d": "a-b"}, {"q": {"d": 1}}, 1, lambda text: text.split("-")).tolist() == [1]
    assert answer_recall({"q": ["b"]}, {"d": "a-b"}, {"q": {"d": 1}}, 1, lambda text: text.split("-")).tolist() == [0]


# --- questions and passages


def test_xtreme_up_joins_a_question_with_the_passage_of_its_id(tmp_path):
    folder = tmp_path / "retrieval_in_lang"
    question = {"id": "sw-1", "title": "T", "context": "jibu", "question": "swali"}
    write_jsonl(folder / "test" / "sw.jsonl", [question])
    index = [{"id": "sw-0", "title": "S", "context": "x"}, {"id": "sw-1", "title": "T", "context": "jibu"}]
    write_jsonl(folder / "index.jsonl", index)
    test_set = load_benchmark(f"xtreme-up:{folder}", "swa")
    assert test_set == TestSet(
        "XTREME-UP retrieval_in_lang test",
        "swa",
        {"sw-1": "swali"},
        {"sw-0": "S x", "sw-1": "T jibu"},
        {"sw-1": {"sw-1": 1}},
    )
    write_jsonl(folder / "index.jsonl", index[:1])
    refused(f"xtreme-up:{folder}", "swa", r"sw\.jsonl line 1 names the document 'sw-1', which index\.jsonl does not")
    refused(f"xtreme-up:{folder}", "amh", r"am\.jsonl is not a file")


def test_belebele_asks_two_questions_of_one_passage(tmp_path):
    def row(number, passage, question):
        answers = {f"mc_answer{n}": f"a{n}" for n in range(1, 5)}
        rest = {"correct_answer_num": "2", "dialect": "hye_Armn", "ds": "2023-05-03"}
        return {
            "link": "https://x",
            "question_number": number,
            "flores_passage": passage,
            "question": question,
            **answers,
            **rest,
        }

    rows = [row(1, "p", "a?"), row(2, "p", "b?"), row(1, "r", "c?")]
    path = write_jsonl(tmp_path / "Belebele" / "hye_Armn.jsonl", rows)
    test_set = load_benchmark(f"belebele:{tmp_path}", "hye")
    assert test_set.queries == {"q0": "a?", "q1": "b?", "q2": "c?"}
    assert test_set.documents == {"d0": "p", "d1": "r"}
    assert test_set.qrels == {"q0": {"d0": 1}, "q1": {"d0": 1}, "q2": {"d1": 1}}
    assert load_benchmark(f"belebele:{path}", "hye") == test_set
    write_jsonl(path, [rows[0], {"question": "x"}])
    refused(f"belebele:{path}", "hye", r"hye_Armn\.jsonl line 2 has the columns question but not 'flores_passage'")
    refused(f"belebele:{tmp_path}", "kat", r"holds no file kat_Geor\.jsonl")


def test_masakhanews_asks_headlines_of_articles_that_span_lines(tmp_path):
    rows = [
        ["category", "headline", "text", "url"],
        ["sports", "H", 'one "two"\n\nthree', "u"],
        ["x", "I", "four", "v"],
    ]
    path = write_table(tmp_path / "data" / "yor" / "test.tsv", rows, "\t")
    test_set = load_benchmark(f"masakhanews:{tmp_path / 'data'}", "yor")
    assert test_set.queries == {"q0": "H", "q1": "I"}
    assert test_set.documents == {"d0": 'one "two"\n\nthree', "d1": "four"}
    write_table(path, [*rows, ["x", " ", "five", "w"]], "\t")
    refused(f"masakhanews:{path}", "yor", r"test\.tsv line 6 has no headline or no text")
    write_table(path, rows[:1], "\t")
    refused(f"masakhanews:{path}", "yor", r"test\.tsv gives no query a relevant document")


def indicqa(path, *paragraphs):
    made = [
        {
            "context": context,
            "qas": [
                {"id": 1, "question": q, "category": "SHORT", "answers": [{"text": a, "answer_start": 0}]}
                for q, a in asked
            ],
        }
        for context, asked in paragraphs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, "data": [{"paragraphs": made}]}), encoding="utf-8")
    return path


def test_indicqa_leaves_out_questions_without_an_answer_and_keeps_their_paragraphs(tmp_path):
    path = indicqa(tmp_path / "data" / "indicqa.hi.json", ("p", [("a?", "x"), ("b?", "")]), ("r", [("c?", "")]))
    test_set = load_benchmark(f"indicqa:{tmp_path}", "hin")
    assert test_set == TestSet("IndicQA", "hin", {"q0": "a?"}, {"d0": "p", "d1": "r"}, {"q0": {"d0": 1}})
    path.write_text('{"data": [{"paragraphs": [{"context": "p"}]}]}')
    refused(f"indicqa:{path}", "hin", r"indicqa\.hi\.json article 1 paragraph 1 has not SQuAD's form \('qas'\)")
    path.write_text("{")
    refused(f"indicqa:{path}", "hin", r"indicqa\.hi\.json is not valid JSON")


@pytest.mark.parametrize("label", ["labels", "is_selected"])
def test_armbench_searches_the_passages_of_all_rows(tmp_path, label):
    rows = [
        {"query": "a?", "translit_query": "", "passages": ["p", "r"], label: [0, 1], "type": "law"},
        {"query": "b?", "translit_query": "", "passages": ["r", "s"], label: [0, 0], "type": "law"},
    ]
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), path)
    test_set = load_benchmark(f"armbench:{tmp_path}", "hye")
    assert test_set.queries == {"q0": "a?"}
    assert sorted(test_set.documents.values()) == ["p", "r", "s"]
    assert [test_set.documents[d] for d in test_set.qrels["q0"]] == ["r"]
    pq.write_table(pa.Table.from_pylist([{**rows[0], label: [1]}]), path)
    refused(f"armbench:{tmp_path}", "hye", rf"parquet row 1 has 2 passages but 1 {label}")
    pq.write_table(pa.Table.from_pylist([{"query": "a?", label: [1]}]), path)
    refused(f"armbench:{tmp_path}", "hye", r"parquet has the columns .* but needs passages")
    refused(f"armbench:{tmp_path / 'none'}", "hye", r"holds no \*\.parquet")


@pytest.mark.parametrize("flatten", [True, False])
def test_haystack_documents_say_which_queries_they_answer(tmp_path, flatten):
    documents = [
        Document(id="1", content="p", meta={"queries": ["a?", "b?"]}),
        Document(id="2", content="r", meta={"queries": ["a?"], "page": 3}),
        Document(id="3", content="s"),
    ]
    path = write_jsonl(tmp_path / "docs.jsonl", [document.to_dict(flatten=flatten) for document in documents])
    test_set = load_benchmark(f"documents:{path}", "epo")
    assert test_set == TestSet(
        "docs",
        "epo",
        {"q0": "a?", "q1": "b?"},
        {"1": "p", "2": "r", "3": "s"},
        {"q0": {"1": 1, "2": 1}, "q1": {"1": 1}},
    )
    write_jsonl(path, [{"id": "1", "content": "p", "meta": {"queries": "a?"}}])
    refused(f"documents:{path}", "epo", r"docs\.jsonl line 1 has queries = 'a\?' in its meta")
    write_jsonl(path, [Document(id="1", content="p").to_dict()] * 2)
    refused(f"documents:{path}", "epo", r"docs\.jsonl line 2 repeats the id '1'")


def test_a_list_of_haystack_documents_is_a_test_set():
    documents = [Document(id="1", content="p", meta={"asked": ["a?"]}), Document(id="2", content="r")]
    test_set = documents_as_test_set("mine", "epo", documents, key="asked")
    assert test_set == TestSet("mine", "epo", {"q0": "a?"}, {"1": "p", "2": "r"}, {"q0": {"1": 1}})
    with pytest.raises(InputError, match="document 2 has asked = 'b' in its meta"):
        documents_as_test_set("mine", "epo", [documents[0], Document(id="2", meta={"asked": "b"})], key="asked")
    with pytest.raises(InputError, match="document 2 repeats the id '1'"):
        documents_as_test_set("mine", "epo", [documents[0], documents[0]])


def test_documents_and_queries_in_files_of_their_own(tmp_path):
    write_jsonl(tmp_path / "documents.jsonl", [Document(id=i, content=f"p{i}").to_dict() for i in "123"])
    rows = [
        {"id": "a", "text": "a?", "documents": ["1", "3"]},
        {"id": "b", "text": "b?", "documents": {"2": 2, "1": 0}},
    ]
    write_jsonl(tmp_path / "queries.jsonl", [*rows, {"id": "c", "text": "c?"}])
    test_set = load_benchmark(f"documents:{tmp_path}", "epo")
    assert (test_set.queries, test_set.qrels) == ({"a": "a?", "b": "b?"}, {"a": {"1": 1, "3": 1}, "b": {"2": 2}})
    assert test_set.documents == {"1": "p1", "2": "p2", "3": "p3"}
    for documents, said in (
        (["9"], r"queries\.jsonl line 1 names the document '9', which documents\.jsonl does not hold"),
        ("1", r"queries\.jsonl line 1 has documents = '1', but must have a list of ids, or grades by id"),
        ({"1": 0.5}, r"line 1 has documents = \{'1': 0\.5\}"),
    ):
        write_jsonl(tmp_path / "queries.jsonl", [{"id": "a", "text": "a?", "documents": documents}])
        refused(f"documents:{tmp_path}", "epo", said)


def hub(folder, **changed):
    splits = {
        "queries": [{"_id": "q1", "text": "a?"}, {"_id": "q2", "text": "b?"}],
        "corpus": [{"_id": "d1", "title": "T", "text": "p"}, {"_id": "d2", "title": "", "text": "r"}],
        "qrels": [{"query-id": "q1", "corpus-id": "d2", "score": 2}, {"query-id": "q2", "corpus-id": "d1", "score": 0}],
        **changed,
    }
    made = {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}
    datasets.DatasetDict(made).save_to_disk(folder)
    return f"hub:{folder}"


def test_a_data_set_of_the_hub_is_read_from_disk(tmp_path):
    test_set = load_benchmark(hub(tmp_path / "set"), "epo")
    assert test_set == TestSet("set", "epo", {"q1": "a?"}, {"d1": "T p", "d2": "r"}, {"q1": {"d2": 2}})
    wrong = hub(tmp_path / "wrong", qrels=[{"query-id": "q1", "corpus-id": "d9", "score": 1}])
    refused(wrong, "epo", r"qrels row 1 names the document 'd9', which the split corpus does not hold")
    wrong = hub(tmp_path / "half", qrels=[{"query-id": "q1", "corpus-id": "d1", "score": 0.5}])
    refused(wrong, "epo", r"qrels row 1 has the score 0\.5")
    datasets.Dataset.from_list([{"_id": "q1", "text": "a?"}]).save_to_disk(tmp_path / "part" / "queries")
    refused(f"hub:{tmp_path / 'part'}", "epo", r"corpus is not a split that `save_to_disk` wrote")


HUB = {
    "queries": [{"_id": "q1", "text": "a?"}, {"_id": "q2", "text": "b?"}],
    "corpus": [{"_id": "d1", "title": "T", "text": "p"}, {"_id": "d2", "title": "", "text": "r"}],
    "qrels": [{"query-id": "q1", "corpus-id": "d2", "score": 2}, {"query-id": "q2", "corpus-id": "d1", "score": 0}],
}


def repository(folder, **files):
    """A copy of a repository of the hub: its card says which file is which split of which configuration."""
    card = ["---", "configs:"]
    for config, (split, rows) in files.items():
        write_jsonl(folder / f"{config}.jsonl", rows)
        card += [f"- config_name: {config}", "  data_files:", f"  - split: {split}", f"    path: {config}.jsonl"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return folder


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def published(qrels="default", start=""):
    """The configurations of a data set as mteb has them on the hub."""
    return {
        f"{start}corpus": ("corpus", HUB["corpus"]),
        f"{start}queries": ("queries", [{"id": row["_id"], "text": row["text"]} for row in HUB["queries"]]),
        f"{start}{qrels}": ("test", HUB["qrels"]),
    }


@pytest.mark.parametrize("qrels", ["default", "qrels"])
def test_a_copy_of_a_repository_of_the_hub_is_read(tmp_path, no_cache, qrels):
    folder = repository(tmp_path / "set", **published(qrels))
    assert load_benchmark(f"hub:{folder}", "epo") == TestSet(
        "set", "epo", {"q1": "a?"}, {"d1": "T p", "d2": "r"}, {"q1": {"d2": 2}}
    )


def test_one_of_several_languages_of_a_repository_is_read(tmp_path, no_cache):
    folder = repository(tmp_path / "set", **published("qrels", "hye-"), **published("qrels", "kat-"))
    assert load_benchmark(f"hub:{folder}#hye", "hye").qrels == {"q1": {"d2": 2}}
    refused(f"hub:{folder}", "hye", r"has the configurations .*hye-queries.*, but not queries: .*NAME#BEGINNING")


def test_qrels_in_a_repository_of_their_own_are_read(tmp_path, no_cache):
    parts = published()
    repository(tmp_path / "set-qrels", default=parts.pop("default"))
    folder = repository(tmp_path / "set", **parts)
    assert load_benchmark(f"hub:{folder}", "epo").qrels == {"q1": {"d2": 2}}


def test_repositories_that_cannot_be_read_are_named(tmp_path, no_cache):
    refused("hub:nobody/nothing", "epo", r"The data set nobody/nothing could not be loaded")
    folder = repository(tmp_path / "set", **{**published(), "default": ("dev", HUB["qrels"])})
    refused(f"hub:{folder}", "epo", r"default has the splits dev, but not test")


# --- sentence pairs


def ntrex(folder, english, mine):
    write(folder / "NTREX-128" / "newstest2019-src.eng.txt", *english)
    write(folder / "NTREX-128" / "newstest2019-ref.hye.txt", *mine)
    write(folder / "DOCUMENT_IDS.tsv", *(f"bbc.{number // 4}" for number in range(8)))
    return f"ntrex:{folder}"


def test_ntrex_and_tatoeba_align_a_language_with_english(tmp_path):
    test_set = load_benchmark(ntrex(tmp_path / "ntrex", PASSAGES, QUERIES), "hye")
    assert list(test_set.queries.values()) == QUERIES
    assert list(test_set.documents.values()) == PASSAGES
    assert list(test_set.queries) == list(test_set.documents)
    assert list(test_set.queries)[3:5] == ["bbc.0:4", "bbc.1:5"]
    assert test_set.qrels["bbc.1:5"] == {"bbc.1:5": 1}
    (tmp_path / "ntrex" / "NTREX-128" / "newstest2019-ref.hye-CA.txt").write_text("x\n", encoding="utf-8")
    assert load_benchmark(f"ntrex:{tmp_path / 'ntrex'}", "hye") == test_set
    (tmp_path / "ntrex" / "NTREX-128" / "newstest2019-ref.hye.txt").rename(
        tmp_path / "ntrex" / "NTREX-128" / "newstest2019-ref.aze-Latn.txt"
    )
    assert load_benchmark(f"ntrex:{tmp_path / 'ntrex'}", "aze").queries == test_set.queries
    write(tmp_path / "v1" / "tatoeba.hye-eng.hye", *QUERIES)
    write(tmp_path / "v1" / "tatoeba.hye-eng.eng", *PASSAGES)
    found = load_benchmark(f"tatoeba:{tmp_path}", "hye")
    assert [list(side.values()) for side in (found.queries, found.documents)] == [QUERIES, PASSAGES]


def test_files_that_are_not_aligned_are_named(tmp_path):
    refused(
        ntrex(tmp_path, PASSAGES, QUERIES[:7]), "hye", r"src\.eng\.txt line 8 has no counterpart in .*ref\.hye\.txt"
    )
    refused(ntrex(tmp_path, PASSAGES[:7], QUERIES[:7]), "hye", r"DOCUMENT_IDS\.tsv line 8 is not aligned with")
    refused(ntrex(tmp_path, [], []), "hye", "are empty")
    refused(ntrex(tmp_path, PASSAGES, QUERIES), "kat", r"holds no file newstest2019-ref\.kat-\*\.txt")


SEMREL = [["PairID", "Text", "Score"], ["P1", "a\nb", "0.5"], ["P2", 'c "d"\ne', "1"]]


def test_semrel_has_two_sentences_in_a_cell(tmp_path):
    path = write_table(tmp_path / "Track A" / "amh" / "amh_test_with_labels.csv", SEMREL, ",")
    pairs = load_benchmark(f"semrel:{tmp_path}", "amh")
    assert (pairs.left, pairs.right, pairs.scores) == (("a", 'c "d"'), ("b", "e"), (0.5, 1.0))
    assert load_benchmark(f"semrel:{path}", "amh") == pairs
    with pytest.raises(InputError, match="no relevance judgements"):
        open_test_set(f"semrel:{path}", "amh")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["P1", "a\nb", "0.5"], "line 7 repeats the PairID 'P1'"),
        (["P3", "a b", "0.5"], "line 6 has 1 lines as its Text"),
        (["P3", "a\nb", "1.5"], "line 7 has the Score '1.5'"),
        (["P3", "a\nb", "nan"], "line 7 has the Score 'nan'"),
        (["P3", "a\nb", ""], "line 7 has the Score ''"),
        (["P3", "a\nb"], "line 7 ends a row that has not the 3 fields"),
    ],
)
def test_bad_rows_of_semrel_are_named(tmp_path, row, said):
    path = write_table(tmp_path / "amh.csv", [*SEMREL, row], ",")
    refused(f"semrel:{path}", "amh", rf"amh\.csv {said}")
    refused(f"semrel:{write_table(path, SEMREL[:1], ',')}", "amh", r"amh\.csv is empty")


# --- metrics


def test_spearman_is_scipys_with_the_interval_of_its_bootstrap():
    rng = np.random.default_rng(3)
    for size in (5, 60):
        scores = rng.integers(0, 6, size).astype(float)  # with ties
        similarities = scores + rng.normal(0, 3, size)
        found = spearman(similarities, scores, resamples=300, seed=5)
        assert found.mean == stats.spearmanr(similarities, scores).statistic
        draws = np.random.default_rng(5).integers(size, size=(300, size))
        values = [
            stats.spearmanr(similarities[d], scores[d]).statistic
            for d in draws
            if np.ptp(scores[d]) and np.ptp(similarities[d])
        ]
        assert [found.low, found.high] == pytest.approx(np.quantile(values, (0.025, 0.975)).tolist())
    assert spearman(np.arange(9.0), np.arange(9.0) ** 3).mean == 1
    for values in ([0.5], [], [0.5, 0.5]):
        with pytest.raises(InputError, match="no rank correlation and no interval"):
            spearman(np.arange(float(len(values))), np.array(values))
    with pytest.raises(ValueError, match="not one a pair"):
        spearman(np.zeros(2), np.zeros(3))


def test_bitext_accuracy_counts_nearest_translations():
    rng = np.random.default_rng(7)
    left = rng.normal(size=(50, 8)).astype(np.float32)
    right = (left + rng.normal(0, 0.7, left.shape)).astype(np.float32)
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right))
    hits = bitext_accuracy(left, right)
    assert hits.tolist() == [float(np.argmax(right @ vector) == row) for row, vector in enumerate(left)]
    assert 0 < hits.mean() < 1
    with pytest.raises(ValueError, match="not those of translations"):
        bitext_accuracy(left, right[:49])


# --- the figures of a model equal those of sentence-transformers


@pytest.fixture(scope="module")
def encoder(tiny_model):
    return SentenceEncoder.from_path(tiny_model, device="cpu", precision="fp32")


def test_figures_of_translations_are_those_of_sentence_transformers(tmp_path, encoder):
    spec = ntrex(tmp_path, PASSAGES, map(backwards, PASSAGES))
    found = published_figures(spec, load_benchmark(spec, "hye"), encoder, "tiny")
    reference = TranslationEvaluator([backwards(text) for text in PASSAGES], PASSAGES)(encoder.model)
    assert found["accuracy"].mean == pytest.approx(reference["src2trg_accuracy"])


def test_figures_of_scored_pairs_are_those_of_sentence_transformers(tmp_path, encoder):
    scores = [0.1, 0.9, 0.4, 0.3, 0.8, 0.2, 0.6, 0.5]
    rows = [[n, f"{q}\n{p}", s] for n, (q, p, s) in enumerate(zip(QUERIES, PASSAGES, scores, strict=True))]
    spec = f"semrel:{write_table(tmp_path / 'epo.csv', [SEMREL[0], *rows], ',')}"
    found = published_figures(spec, load_benchmark(spec, "epo"), encoder, "tiny")
    reference = EmbeddingSimilarityEvaluator(QUERIES, PASSAGES, scores, main_similarity="cosine")(encoder.model)
    assert found["Spearman"].mean == pytest.approx(reference["spearman_cosine"])


def test_figures_of_retrieval_are_those_of_sentence_transformers(tmp_path, encoder):
    rows = [{"query": q, "passages": [p], "labels": [1]} for q, p in zip(QUERIES, PASSAGES, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train-0.parquet")
    write_jsonl(tmp_path / "in" / "test" / "eo.jsonl", [{"id": n, "question": q} for n, q in enumerate(QUERIES)])
    write_jsonl(tmp_path / "in" / "index.jsonl", [{"id": n, "context": p} for n, p in enumerate(PASSAGES)])
    specs = {f"xtreme-up:{tmp_path / 'in'}": "RR@10", f"beir:{write_test_set(tmp_path / 'b', SEEDS)}": "nDCG@10"}
    specs[f"armbench:{tmp_path}"] = "Success@20"
    found = {}
    for spec, metric in specs.items():
        found[metric] = published_figures(spec, load_benchmark(spec, "epo"), encoder, "tiny")[metric].mean
    ids = [str(n) for n in range(len(SEEDS))]
    reference = InformationRetrievalEvaluator(
        dict(zip(ids, QUERIES, strict=True)), dict(zip(ids, PASSAGES, strict=True)), {i: {i} for i in ids}
    )(encoder.model)
    assert found["RR@10"] == pytest.approx(reference["cosine_mrr@10"])
    assert found["nDCG@10"] == pytest.approx(reference["cosine_ndcg@10"])
    assert found["Success@20"] == 1  # eight passages


def test_answers_are_looked_for_in_what_the_model_ranks_first(tmp_path, encoder):
    spec = xor(tmp_path, {"id": 1, "question": "river", "lang": "ja", "answers": ["Tokyo"]})
    figures = published_figures(spec, load_benchmark(spec, "jpn"), encoder, "tiny")
    assert {name: interval.mean for name, interval in figures.items()} == {"R@2kt": 1, "R@5kt": 1}


# --- bad input beyond files


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_refused(tmp_path, tiny_model, value):
    good, bad = np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)
    bad[1, 2] = value
    check_vectors("m", good, good)
    with pytest.raises(InputError, match="m gave document 2 of 3, and 0 more, a vector with nan or infinity"):
        check_vectors("m", good, bad)
    with pytest.raises(InputError, match="m gave query 2 of 3"):
        check_vectors("m", bad, good)
    with pytest.raises(InputError, match="m gave queries 4 dimensions but documents 3"):
        check_vectors("m", good, good[:, :3])
    broken = SentenceEncoder.from_path(tiny_model, device="cpu", precision="fp32")
    next(broken.model.parameters()).data.fill_(value)
    spec = ntrex(tmp_path, PASSAGES, QUERIES)
    with pytest.raises(InputError, match="tiny gave query 1 of 8, and 7 more, a vector with nan"):
        published_figures(spec, load_benchmark(spec, "hye"), broken, "tiny")


ASKED = TestSet("set", "epo", {"q1": "a"}, {"d1": "b", "d2": "c"}, {"q1": {"d1": 1}})


def test_a_run_file_is_read(tmp_path):
    path = write(tmp_path / "run.trec", "q1 Q0 d1 2 0.25 tag", "q1\tQ0\td2\t1\t5e-1\ttag")
    assert read_run(path, ASKED) == {"q1": {"d1": 0.25, "d2": 0.5}}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q9 Q0 d2 1 1 t", "ranks for the query 'q9', which set does not ask"),
        ("q1 Q0 d9 1 1 t", "ranks the document 'd9', which set does not hold"),
        ("q1 Q0 d1 1 1 t", "ranks the document 'd1' again for 'q1'"),
        ("q1 Q0 d2 1 nan t", "has the score 'nan'"),
        ("q1 Q0 d2 1 high t", "has the score 'high'"),
        ("q1 d2 1", "has 3 fields"),
    ],
)
def test_bad_lines_of_a_run_are_named(tmp_path, line, said):
    with pytest.raises(InputError, match=rf"run\.trec line 2 {said}"):
        read_run(write(tmp_path / "run.trec", "q1 Q0 d1 1 1 t", line), ASKED)


def test_one_query_has_no_interval():
    interval = bootstrap(np.array([0.5])).to_json()
    assert interval == {"mean": 0.5, "low": None, "high": None}


def test_a_name_that_is_no_benchmark_is_refused_and_a_folder_is_a_beir_folder(tmp_path):
    refused("beer:x", "epo", "'beer:x' is not NAME:FOLDER with one of the names beir, hub, ")
    refused("beir", "epo", "'beir' is not NAME:FOLDER")
    folder = write_test_set(tmp_path / "b", SEEDS)
    assert open_test_set(folder, "epo") == open_test_set(f"beir:{folder}", "epo")
    assert len(LOADERS) == 13


def test_the_command_prints_a_benchmark_and_says_where_there_is_no_interval(tmp_path, tiny_model):
    one = write_test_set(tmp_path / "one", SEEDS[:1])
    common = ["evaluate", "--language", "hye", "--base-model", str(tiny_model), "--quiet"]
    many = ntrex(tmp_path / "n", PASSAGES, PASSAGES)
    done = CliRunner().invoke(
        main, [*common, "--benchmark", f"beir:{one}", "--benchmark", many, "--output", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    first, second = done.output.splitlines()
    assert first == f"beir:{one}  {tiny_model}  nDCG@10 1.000  (no interval: one query)"
    assert second == f"{many}  {tiny_model}  accuracy 1.000 [1.000, 1.000]"
    rows = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert [row["metric"] for row in rows] == ["nDCG@10", "accuracy"]
    assert {"benchmark": many, "model": str(tiny_model), "language": "hye", "mean": 1.0}.items() <= rows[1].items()
    assert rows[0]["low"] is None
    assert CliRunner().invoke(main, common).exit_code == 2

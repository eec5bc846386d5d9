"""The end-to-end script on a toy set: everything through the pipelines, nothing adapted."""

import importlib
import json

import pytest
from chat_server import ChatServer
from opensearch_node import running
from toy import build_tiny_model, toy_seeds, translated, write_jsonl, write_test_set

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.metrics import measure
from haystack_lrl.evaluation.runs import bm25_run, dense_run
from haystack_lrl.evaluation.testset import load_test_set

QUERIES = 8


@pytest.fixture(scope="module")
def script():
    return importlib.import_module("eval.end_to_end_rag")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("e2e")
    test_set = write_test_set(folder / "set", translated(toy_seeds(QUERIES)))
    write_jsonl(test_set / "answers.jsonl", [{"_id": f"q{n}", "answers": ["jes"]} for n in range(QUERIES)])
    return folder, test_set


@pytest.fixture(scope="module")
def done(script, data, tiny_model):
    """The result of one run with two models that differ."""
    folder, test_set = data
    other = build_tiny_model(folder / "other", seed=1)
    given = ["--model", other, "--base-model", tiny_model, "--test-set", test_set, "--work", folder / "work"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OPENSEARCH_HOSTS", raising=False)
        script.main([*map(str, given), "--output", str(folder / "result.json")])
    return json.loads((folder / "result.json").read_text(encoding="utf-8")), other


def test_every_system_has_every_figure(done, script):
    result, _ = done
    assert list(result["systems"]) == ["BM25", "base", "adapted", "hybrid"]
    for row in result["systems"].values():
        assert list(row["search"]) == ["nDCG@10", "R@10", "R@100", "RR@10"]
        assert list(row["answers"]) == ["answered", "citation precision", "citation recall", "EM", "F1"]
        for interval in (*row["search"].values(), *row["answers"].values()):
            assert 0 <= interval["low"] <= interval["mean"] <= interval["high"] <= 1
        for spent in (row["search_ms"], row["answer_ms"]):
            assert 0 < spent["p50"] <= spent["p95"] <= spent["p99"]
        assert row["search"]["R@100"]["mean"] == 1 or row is result["systems"]["BM25"]
        # the stand-in cites the first source, so its precision is that of the first rank
        assert row["answers"]["answered"]["mean"] == 1
    assert {len(rows) for rows in result["contrasts"].values()} == {6}
    assert all(row["p"] <= row["holm"] for rows in result["contrasts"].values() for row in rows)
    for counts in result["indices"].values():
        assert (counts["read"], counts["indexed"], counts["failed"]) == (QUERIES, QUERIES, 0)
        assert counts["passages"] == counts["written"] > 0
    assert result["generator"].startswith("none: ")
    assert script.markdown(result).count("\n") == 5


def test_the_pipelines_rank_as_the_evaluator_does(done, data, tiny_model):
    result, other = done
    test_set = load_test_set(data[1], "epo")
    found = {name: row["search"]["nDCG@10"]["mean"] for name, row in result["systems"].items()}
    for name, model in (("base", tiny_model), ("adapted", other)):
        run = dense_run(test_set, SentenceEncoder.from_path(str(model))).run
        assert found[name] == pytest.approx(measure(test_set, run)["nDCG@10"].mean(), abs=1e-9)
    assert found["BM25"] == pytest.approx(measure(test_set, bm25_run(test_set))["nDCG@10"].mean(), abs=1e-9)
    assert found["base"] != found["adapted"]


def test_a_generator_a_judge_and_what_was_indexed_before(done, data, script, tiny_model, capsys, monkeypatch):
    folder, test_set = data
    monkeypatch.delenv("OPENSEARCH_HOSTS", raising=False)

    def reply(request):
        judged = "supported" in request["messages"][0]["content"]
        return '{"verdict": "supported"}' if judged else "jes [1]"

    server = ChatServer(reply, [{"id": "m"}])
    with server.running_at() as url:
        given = ["--model", folder / "other", "--base-model", tiny_model, "--test-set", test_set]
        given += ["--work", folder / "work", "--output", folder / "again.json", "--generator", url, "--judge", url]
        script.main(list(map(str, given)))
    result = json.loads((folder / "again.json").read_text(encoding="utf-8"))
    for row in result["systems"].values():
        assert row["answers"]["EM"]["mean"] == row["answers"]["F1"]["mean"] == 1
        assert row["faithfulness"]["mean"] == 1
        assert row["not judged"] == {}
    assert result["indices"]["base"]["written"] == 0
    assert result["indices"]["base"]["existing"] == result["indices"]["base"]["passages"] > 0
    assert "| hybrid (a) |" in capsys.readouterr().out


def test_a_model_needs_its_base(script, tiny_model):
    with pytest.raises(SystemExit):
        script.main(["--model", str(tiny_model)])


@pytest.mark.integration
def test_the_same_figures_through_a_real_server(done, data, script, tiny_model, tmp_path, monkeypatch):
    pytest.importorskip("haystack_integrations.document_stores.opensearch", reason="the extra opensearch is missing")
    _, test_set = data
    given = ["--model", done[1], "--base-model", tiny_model, "--test-set", test_set, "--work", tmp_path]
    with running(tmp_path / "node") as node:
        monkeypatch.setenv("OPENSEARCH_HOSTS", node.url)
        script.main([*map(str, given), "--output", str(tmp_path / "result.json")])
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["store"] == "opensearch"
    for name in ("base", "adapted"):
        found, expected = (each["systems"][name]["search"]["nDCG@10"]["mean"] for each in (result, done[0]))
        assert found == pytest.approx(expected, abs=1e-6)  # eight documents leave nothing to approximate
    assert result["systems"]["hybrid"]["answers"]["answered"]["mean"] == 1

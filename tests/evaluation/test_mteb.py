import sys

import numpy as np
import pytest
import toy

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.mteb_task import find_task, measure_tasks, run_task
from haystack_lrl.records.errors import InputError

mteb = pytest.importorskip("mteb")


def metadata(kind, score, subsets):
    return mteb.TaskMetadata(
        name=f"Toy{kind}",
        dataset={"path": "nobody/toy", "revision": "1"},
        description="words spelt backwards",
        type=kind,
        eval_splits=["test"],
        eval_langs=subsets,
        main_score=score,
    )


def retrieval_task():
    """A retrieval task of mteb whose data are made here."""
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    class ToyRetrieval(AbsTaskRetrieval):
        metadata = metadata("Retrieval", "ndcg_at_10", ["epo-Latn"])

        def load_data(self, **_):
            rows = toy.toy_seeds(60)
            ids = [str(n) for n in range(60)]
            split = {
                "queries": Dataset.from_dict({"id": ids, "text": [row["query"] for row in rows]}),
                "corpus": Dataset.from_dict({"id": ids, "title": ["t"] * 60, "text": [row["passage"] for row in rows]}),
                "relevant_docs": {i: {i: 1} for i in ids},
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return ToyRetrieval()


def sts_task():
    from datasets import Dataset
    from mteb.abstasks import AbsTaskSTS

    class ToySTS(AbsTaskSTS):
        metadata = metadata("STS", "cosine_spearman", ["epo-Latn"])

        def load_data(self, **_):
            rows = toy.toy_seeds(40)
            columns = {"sentence1": [r["query"] for r in rows], "sentence2": [r["passage"] for r in rows]}
            scores = np.random.default_rng(0).random(40).tolist()
            self.dataset = {"test": Dataset.from_dict({**columns, "score": scores})}
            self.data_loaded = True

    return ToySTS()


def classification_task():
    from datasets import Dataset
    from mteb.abstasks import AbsTaskClassification

    class ToyClassification(AbsTaskClassification):
        metadata = metadata("Classification", "accuracy", ["epo-Latn"])
        samples_per_label = 8
        n_experiments = 2

        def load_data(self, **_):
            texts = [row["passage"] for row in toy.toy_seeds(80)]
            labels = [int("river" in text or "bread" in text or "music" in text) for text in texts]
            split = Dataset.from_dict({"text": texts, "label": labels})
            self.dataset = {"train": split, "test": split}
            self.data_loaded = True

    return ToyClassification()


def by_mteb(task, model):
    from sentence_transformers import SentenceTransformer

    given = SentenceTransformer(str(model), device="cpu")
    (result,) = mteb.evaluate(given, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results
    return result.get_score()


@pytest.mark.parametrize("make", [retrieval_task, sts_task, classification_task])
@pytest.mark.parametrize("prompted", [False, True])
def test_a_task_gives_the_number_that_mteb_gives(make, prompted, tiny_model, tiny_model_with_prompts):
    model = tiny_model_with_prompts if prompted else tiny_model
    encoder = SentenceEncoder.from_path(model, device="cpu", precision="fp32")
    (score,) = run_task(make(), encoder, "tiny")
    assert score.score == pytest.approx(by_mteb(make(), model), abs=1e-6)
    assert (score.split, score.subset) == ("test", "default")
    assert 0 < abs(score.score) < 1


def test_prompts_reach_the_model(tiny_model, tiny_model_with_prompts):
    plain, prompted = (
        run_task(retrieval_task(), SentenceEncoder.from_path(model, device="cpu", precision="fp32"), "tiny")[0].score
        for model in (tiny_model, tiny_model_with_prompts)
    )
    assert plain != prompted


def test_a_prompt_for_one_kind_of_task_is_used(tmp_path):
    model = toy.build_tiny_model(tmp_path / "m", prompts={"STS": "river: "})
    encoder = SentenceEncoder.from_path(model, device="cpu", precision="fp32")
    score = run_task(sts_task(), encoder, "tiny")[0].score
    assert score == pytest.approx(by_mteb(sts_task(), model), abs=1e-6)
    encoder.model.prompts = {}
    assert run_task(sts_task(), encoder, "tiny")[0].score != pytest.approx(score)


def test_models_and_tasks_become_rows(monkeypatch, tiny_model, tiny_model_with_prompts):
    for task in (retrieval_task(), sts_task()):
        monkeypatch.setitem(sys.modules["mteb.get_tasks"]._TASKS_REGISTRY, task.metadata.name, type(task))
    models = [str(tiny_model), str(tiny_model_with_prompts)]
    rows = list(measure_tasks(["ToyRetrieval", "ToySTS"], "epo", models))
    assert [(row["model"], row["benchmark"]) for row in rows] == [
        (model, f"mteb:{task}") for model in models for task in ("ToyRetrieval", "ToySTS")
    ]
    assert [row["mean"] for row in rows[2:]] == pytest.approx(
        [by_mteb(task, tiny_model_with_prompts) for task in (retrieval_task(), sts_task())], abs=1e-6
    )
    assert (rows[0]["metric"], rows[0]["low"], rows[0]["split"]) == ("ndcg_at_10", None, "test")
    with pytest.raises(InputError, match="has no texts in hye"):
        next(measure_tasks(["ToySTS"], "hye", models))


def test_tasks_that_cannot_be_run_are_named():
    with pytest.raises(InputError, match=r"mteb has no task 'BelebeleRetrieva' .*BelebeleRetrieval"):
        find_task("BelebeleRetrieva", "hye")
    with pytest.raises(InputError, match=r"The task SciFact of mteb has no texts in hye"):
        find_task("SciFact", "hye")
    with pytest.raises(InputError, match=r"The data of BelebeleRetrieval could not be loaded"):
        find_task("BelebeleRetrieval", "hye")

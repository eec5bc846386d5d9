from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import build_tiny_model
from toy_training import NO_PROMPTS, SETTINGS, quality, run, toy_rows

from haystack_lrl.adaptation import training
from haystack_lrl.adaptation.losses import loss_of
from haystack_lrl.adaptation.merging import copy_state, differs
from haystack_lrl.adaptation.rows import filled
from haystack_lrl.adaptation.teaching import english_scores, guide_of, teacher_of, with_english_sides
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.records.errors import InputError


def gradient(model, rows, settings, labels=None, **options):
    """Return the gradient of the first step as the trainer would compute it."""
    model.train()
    model.zero_grad()
    columns = [[row.pair.query for row in rows], [row.pair.passage for row in rows]]
    columns += [[row.negatives[number] for row in rows] for number in range(len(rows[0].negatives))]
    loss = loss_of(model, settings, **options)([model.preprocess(texts) for texts in columns], labels)
    loss.backward()
    return {name: weights.grad.clone() for name, weights in model.named_parameters() if weights.grad is not None}


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("negatives", [0, 2])
def test_the_cached_loss_has_the_gradient_of_the_plain_one(tiny, symmetric, negatives):
    training._without_dropout(tiny)
    rows = toy_rows(16, negatives)
    settings = replace(SETTINGS, symmetric=symmetric)
    plain, cached, other = (
        gradient(tiny, rows, changed)
        for changed in (settings, replace(settings, mini_batch_size=4), replace(settings, symmetric=not symmetric))
    )
    assert plain.keys() == cached.keys()
    for name, value in plain.items():
        torch.testing.assert_close(cached[name], value, rtol=1e-3, atol=1e-5)
    assert any((other[name] - value).abs().max() > 1e-4 for name, value in plain.items())


VARIANTS = [
    {"loss": "guided"},
    {"loss": "margin-mse"},
    {"loss": "kl"},
    {"matryoshka": (32, 8)},
    {"loss": "guided", "matryoshka": (32, 8)},
    {"loss": "margin-mse", "matryoshka": (32, 8)},
    {"loss": "kl", "matryoshka": (32, 8)},
]


@pytest.mark.parametrize("negatives", [1, 2])
@pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: " ".join(map(str, changes.values())))
def test_every_loss_has_the_same_gradient_in_mini_batches(tiny_model, changes, negatives):
    model, guide = (load_model(tiny_model, device="cpu") for _ in range(2))
    training._without_dropout(model)
    rows = toy_rows(12, negatives)
    settings = replace(SETTINGS, batch_size=12, **changes)
    labels = torch.rand(12, 1 + negatives, generator=torch.Generator().manual_seed(1))
    options = {"guide": guide.eval() if settings.loss == "guided" else None, "columns": 2 + negatives}
    plain, cached, other = (
        gradient(model, rows, changed, labels, **options)
        for changed in (settings, replace(settings, mini_batch_size=5), replace(SETTINGS, scale=5.0))
    )
    assert plain.keys() == cached.keys()
    for name, value in plain.items():
        torch.testing.assert_close(cached[name], value, rtol=1e-3, atol=1e-5)
    assert any((other[name] - value).abs().max() > 1e-5 for name, value in plain.items())


def test_the_guide_takes_right_answers_out_of_the_negatives(tiny_model):
    model, guide = (load_model(tiny_model, device="cpu") for _ in range(2))
    training._without_dropout(model)
    rows = toy_rows(4)
    same = replace(rows[0].pair, query=rows[1].pair.query, passage=rows[1].pair.passage + " jo")
    rows[0] = replace(rows[0], pair=same)  # answers the query of the row after it, nearly word for word
    settings = replace(SETTINGS, loss="guided", batch_size=4)
    with_it = loss_value(model, rows, settings, guide=guide.eval())
    without = loss_value(model, rows, settings, guide=Blind(guide))
    assert with_it < without - 0.1


class Blind(torch.nn.Module):
    """A guide to whom nothing but a text itself is like it, so that it takes no negative out."""

    def __init__(self, guide):
        super().__init__()
        self.tokenizer, self.max_seq_length = guide.tokenizer, guide.max_seq_length

    def forward(self, features):
        return {"sentence_embedding": torch.eye(len(features["input_ids"])) + 1e-3}


def loss_value(model, rows, settings, **options):
    columns = [[row.pair.query for row in rows], [row.pair.passage for row in rows]]
    with torch.no_grad():
        return float(
            loss_of(model.eval(), settings, **options)([model.preprocess(c) for c in columns], torch.tensor([]))
        )


@pytest.mark.parametrize("negatives", [1, 2])
def test_distillation_is_zero_for_the_teacher_itself_and_falls_with_training(tiny_model, tmp_path, negatives):
    """The pairs' English sides are the texts themselves here, so the base scores them as its own teacher."""
    rows = [in_its_own_words(row) for row in toy_rows(24, negatives)]
    for loss in ("margin-mse", "kl"):
        model = load_model(tiny_model, device="cpu").eval()
        settings = replace(SETTINGS, loss=loss, batch_size=24, precision="fp32")
        scores = english_scores(rows, teacher_of(model, NO_PROMPTS, settings))
        columns = [[row.pair.query for row in rows], [row.pair.passage for row in rows]]
        columns += [[row.negatives[number] for row in rows] for number in range(negatives)]
        with torch.no_grad():
            value = loss_of(model, settings)([model.preprocess(texts) for texts in columns], torch.tensor(scores))
        assert float(value) == pytest.approx(0, abs=1e-6)


def in_its_own_words(row):
    return replace(row, pair=replace(row.pair, english_query=row.pair.query, english_passage=row.pair.passage))


@pytest.mark.parametrize("loss", ["margin-mse", "kl"])
def test_distillation_learns_the_order_that_the_teacher_sees_in_english(tiny_model, tmp_path, loss):
    model = load_model(tiny_model, device="cpu")
    rows = filled(with_english_sides(toy_rows(40, negatives=3), loss), 13)
    settings = replace(SETTINGS, loss=loss, epochs=10, warmup=0.0, precision="fp32", teacher=str(tiny_model))
    teacher = teacher_of(model, NO_PROMPTS, settings)
    wanted = margins(english_scores(rows, teacher))

    def distance():
        own = [in_its_own_words(row) for row in rows]
        return float(np.abs(margins(english_scores_of(own, model)) - wanted).mean())

    before = distance()
    result = run(model, rows, tmp_path, settings, lambda: -distance())
    assert distance() < before * 0.7
    assert result.losses[-1][1] < result.losses[0][1]


def english_scores_of(rows, model):
    """Return the model's own scores of the rows' texts, negatives that are no row's passage included."""
    encoder = SentenceEncoder(model, prompts=NO_PROMPTS, precision="fp32")
    queries = encoder.encode([row.pair.query for row in rows], "query")
    texts = [(row.pair.passage, *row.negatives) for row in rows]
    return [encoder.encode(own, "passage") @ query for query, own in zip(queries, texts, strict=True)]


def margins(scores):
    scores = np.asarray(scores)
    return scores[:, :1] - scores[:, 1:]


def test_the_teachers_scores_are_those_of_the_english_sides(tiny_model):
    encoder = SentenceEncoder(load_model(tiny_model, device="cpu"), prompts=NO_PROMPTS, precision="fp32")
    rows = toy_rows(6)
    rows = [replace(row, negatives=(rows[number - 1].pair.passage,)) for number, row in enumerate(rows)]
    for number, (row, scores) in enumerate(zip(rows, english_scores(rows, encoder), strict=True)):
        query = encoder.encode([row.pair.english_query], "query")[0]
        texts = [row.pair.english_passage, rows[number - 1].pair.english_passage]
        assert scores == pytest.approx((encoder.encode(texts, "passage") @ query).tolist(), abs=1e-5)


def test_negatives_whose_english_side_is_not_known_are_left_out():
    rows = toy_rows(3)
    known = rows[1].pair.passage
    rows[0] = replace(rows[0], negatives=("nobody's passage", known))
    assert [row.negatives for row in with_english_sides(rows, "kl")] == [(known,), (), ()]


def test_distillation_without_english_sides_or_negatives_is_refused(tiny, tmp_path):
    settings = replace(SETTINGS, loss="kl")
    with pytest.raises(InputError, match=r"no training row has one whose English side is known: set mining\.negatives"):
        run(tiny, toy_rows(16), tmp_path, settings)
    rows = toy_rows(16, negatives=1)
    rows[4] = replace(rows[4], pair=replace(rows[4].pair, english_passage=""))
    with pytest.raises(InputError, match=r"training row 5 \(id s4\) has no english_query and english_passage"):
        run(tiny, rows, tmp_path, settings)


@pytest.mark.parametrize("loss", ["guided", "margin-mse", "kl"])
def test_a_teacher_of_another_kind_may_guide_and_score(tiny, tmp_path, loss):
    other = build_tiny_model(tmp_path / "other", prompts={"query": "query: ", "document": "passage: "}, seed=3)
    rows = toy_rows(32, negatives=1)
    result = run(tiny, rows, tmp_path / "run", replace(SETTINGS, loss=loss, teacher=str(other), epochs=1))
    assert result.steps == 2


def test_the_guide_stays_as_it_is_and_the_base_may_be_it(tiny):
    start = copy_state(tiny)
    guide = guide_of(tiny, replace(SETTINGS, loss="guided"))
    with torch.no_grad():
        next(tiny.parameters()).fill_(0)
    assert not differs(copy_state(guide), start)
    assert not any(weights.requires_grad for weights in guide.parameters())
    assert not guide.training
    assert all(weights.requires_grad for weights in tiny.parameters())


def test_matryoshka_teaches_the_first_components_too(tiny_model, tmp_path):
    rows = toy_rows(60)
    first = {}
    for dimensions in ((), (32, 4)):
        model = load_model(tiny_model, device="cpu")
        run(
            model, rows, tmp_path / str(len(dimensions)), replace(SETTINGS, matryoshka=dimensions, epochs=6, warmup=0.0)
        )
        model.truncate_dim = 4
        first[dimensions] = quality(model, rows)()
    assert first[32, 4] > first[()]


def test_more_dimensions_than_the_model_has_are_refused(tiny, tmp_path):
    with pytest.raises(InputError, match="asks for 64 dimensions, but the model has 32"):
        run(tiny, toy_rows(16), tmp_path, replace(SETTINGS, matryoshka=(64, 32)))

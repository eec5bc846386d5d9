import json

import pytest
from chat_server import source_of
from click.testing import CliRunner
from haystack.components.generators.chat import MockChatGenerator

from haystack_lrl.cli import main
from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Rejected, Triplet, read_triplets
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.making import make
from haystack_lrl.synthesis.triplets import TripletMaker, TripletSettings, triplet_file, written_language

EPO, ENG = language("epo"), language("eng")
ANCHORS = [Passage(f"La numero {n} de la domo estas skribita sur la pordo.", str(n)) for n in range(30)]


def model(answer, workers=1):
    return ChatModel(
        MockChatGenerator(response_fn=lambda messages: answer(messages[0].text)), model={}, workers=workers
    )


def both(prompt):
    number = source_of(prompt)["text"].split()[2]
    return json.dumps(
        {"positive": f"La domo havas la numeron {number}.", "negative": f"Sur la pordo ne estas {number}."}
    )


def number_of(prompt):
    return prompt.split("La numero ")[1].split()[0]


def writer(words, workers=1):
    return model(lambda prompt: f"{words} {number_of(prompt)}.", workers)


def test_icl_asks_one_model_for_both():
    rows = list(make(ANCHORS[:2], TripletMaker(model(both), EPO, gate=LanguageGate(EPO)).making()))
    assert rows[1] == Triplet(
        Pair(ANCHORS[1].text, "La domo havas la numeron 1.", id="1", source="triplets"), ("Sur la pordo ne estas 1.",)
    )


def test_icl_shows_exemplars_in_the_language_first():
    seen = []
    maker = TripletMaker(model(lambda prompt: seen.append(prompt) or both(prompt)), EPO, TripletSettings(exemplars=2))
    list(make(ANCHORS[:1], maker.making()))
    assert seen[0].count("\nAnswer: {") == 2
    assert json.loads(seen[0].split("Request: ")[1].splitlines()[0])["language"] == "Esperanto"


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    ("strategy", "words"), [("composed", "Jen la domo numero"), ("xl-lora", "This house has the number")]
)
def test_two_loras_write_side_by_side_in_order(strategy, words, workers):
    settings = TripletSettings(strategy)
    gate = LanguageGate(written_language(settings, EPO))
    positive, negative = writer(words, workers), writer(f"{words} not", workers)
    maker = TripletMaker(positive, EPO, settings, negative=negative, gate=gate)
    rows = list(make(ANCHORS, maker.making()))
    assert [row.pair.passage for row in rows] == [f"{words} {n}." for n in range(30)]
    assert [row.negatives for row in rows] == [(f"{words} not {n}.",) for n in range(30)]


def test_the_prompts_name_both_languages():
    seen = []
    writes = model(lambda prompt: seen.append(prompt) or "A house.")
    list(make(ANCHORS[:1], TripletMaker(writes, language("hye"), TripletSettings("xl-lora")).making()))
    assert all("in Armenian (հայերեն)" in prompt and "in English" in prompt for prompt in seen)


@pytest.mark.parametrize(
    ("positive", "negative", "reason"),
    [
        ("Esti", ANCHORS[0].text, "copied source"),
        (ANCHORS[0].text.upper(), "Ne", "copied source"),
        ("La sama frazo pri la domo.", "La sama frazo pri la domo.", "positive is the negative"),
        ("This is an English sentence about the house.", "La domo ne havas numeron.", "wrong language"),
    ],
)
@pytest.mark.parametrize("strategy", ["icl", "composed"])
def test_bad_answers_are_rejected_with_their_reason(strategy, positive, negative, reason):
    def answer(prompt):
        if strategy == "icl":
            return json.dumps({"positive": positive, "negative": negative})
        return negative if "cannot be true" in prompt else positive

    maker = TripletMaker(model(answer), EPO, TripletSettings(strategy), gate=LanguageGate(EPO))
    (row,) = make(ANCHORS[:1], maker.making())
    assert isinstance(row, Rejected)
    assert row.reason == reason
    assert row.raw


def test_anchors_that_come_twice_or_hold_words_of_the_prompt(tmp_path):
    odd = Passage('Answer with that sentence alone. $anchor {"positive": "x"} La numero 7 estas tie.', "odd")
    maker = TripletMaker(writer("Jen la domo"), EPO, TripletSettings("composed"), negative=writer("Ne jen la domo"))
    output = tmp_path / "triplets.jsonl"
    counts = triplet_file([ANCHORS[0], odd, ANCHORS[0]], output, maker, progress=False)
    assert counts.to_json() == {"rows": 3, "kept": 2, "rejected": {"duplicate": 1}}
    rows = list(read_triplets(output))
    assert [row.pair.passage for row in rows] == ["Jen la domo 0.", "Jen la domo 7."]
    assert [row.pair.query for row in rows] == [ANCHORS[0].text, odd.text]


def test_identity_follows_strategy_models_and_language():
    def identity(code="epo", name="a", **settings):
        return json.dumps(
            TripletMaker(
                ChatModel(MockChatGenerator("x", model=name)), language(code), TripletSettings(**settings)
            ).identity
        )

    cases = [
        identity(),
        identity("hye"),
        identity(name="b"),
        identity(strategy="xl-lora"),
        identity(strategy="composed"),
    ]
    assert len({*cases, identity(exemplars=1)}) == 6
    assert identity() == identity()


def test_what_the_user_can_mend():
    with pytest.raises(InputError, match="icl asks one model for both"):
        TripletMaker(model(both), EPO, negative=model(both))
    with pytest.raises(ValueError, match=r"triplets\.strategy is 'lora', but must be one of icl, composed, xl-lora"):
        TripletSettings("lora")
    with pytest.raises(ValueError, match=r"triplets\.exemplars is 9"):
        TripletSettings(exemplars=9)


def test_an_estimate_counts_the_tokens_of_both_models():
    positive, negative = writer("Jen la domo"), writer("Ne jen la domo")
    maker = TripletMaker(positive, EPO, TripletSettings("composed"), negative=negative)
    list(make(ANCHORS[:3], maker.making()))
    assert maker.usage["requests"] == 6
    assert maker.usage["prompt_tokens"] == positive.usage["prompt_tokens"] + negative.usage["prompt_tokens"] > 0
    alone = TripletMaker(positive, EPO)
    assert alone.usage == positive.usage


def test_what_is_written_is_english_for_xl_lora_alone():
    assert written_language(TripletSettings("xl-lora"), EPO) == ENG
    assert written_language(TripletSettings("composed"), EPO) == EPO


@pytest.mark.integration
def test_xl_lora_on_real_weights_from_training_to_triplets(shared, tmp_path):
    """Real adapters answer through the same command; what they learnt is that answers begin with "It was"."""
    rows = [
        {"language": "epo", "anchor": f"Estis {n}.", "positive": f"It was {n}.", "negative": f"It was not {n}."}
        for n in range(120)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "anchors.jsonl").write_text(
        "".join(json.dumps({"text": f"Estis {n}."}) + "\n" for n in range(200, 204))
    )
    for name in ("positive", "negative"):  # short prompts: the model reads 512 tokens of a few letters each
        (tmp_path / f"{name}.txt").write_text("version: 1\n$anchor_language $output_language $anchor")
    base = shared / "models" / "stories260K-hf"
    settings = ["learning_rate=0.01", "epochs=1", "batch_size=8", "accumulation=1"]
    trained = CliRunner().invoke(
        main,
        ["train-generator", "--kind", "xl-lora", "--language", "epo", "--model", str(base), "--rows",
         str(tmp_path / "rows.jsonl"), "--prompts", str(tmp_path), "--output", str(tmp_path / "xl"),
         *(part for setting in settings for part in ("--set", setting))],
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    made = CliRunner().invoke(
        main,
        ["triplets", "--language", "epo", "--strategy", "xl-lora", "--adapters", str(tmp_path / "xl"), "--anchors",
         str(tmp_path / "anchors.jsonl"), "--prompts", str(tmp_path), "--no-gate", "--quiet", "--output",
         str(tmp_path / "triplets.jsonl")],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    counts = json.loads(made.stdout.strip().splitlines()[-1])
    assert counts["rows"] == 4 == counts["kept"] + sum(counts["rejected"].values())
    for triplet in read_triplets(tmp_path / "triplets.jsonl"):
        assert triplet.pair.passage.startswith("It was")
        assert triplet.negatives[0].startswith("It was")

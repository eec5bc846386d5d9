import csv
import gzip
import json
import shutil

import pytest
import torch
from click.testing import CliRunner
from tiny_llama import build_tiny_llama

from haystack_lrl.cli.generators import train_generator_command
from haystack_lrl.languages.table import language
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.synthesis.loras import causal, training
from haystack_lrl.synthesis.loras.adapters import check_adapter, identify_base
from haystack_lrl.synthesis.loras.examples import (
    ENGLISH,
    PLACEHOLDERS,
    Example,
    read_rows,
    request,
    select,
    set_aside,
    text_examples,
    triplet_examples,
)
from haystack_lrl.synthesis.loras.generator import train_generator
from haystack_lrl.synthesis.loras.settings import LoraSettings
from haystack_lrl.synthesis.prompts import load_prompt

FAST = LoraSettings(learning_rate=1e-2, epochs=4, batch_size=9, accumulation=1)
BRIEF = LoraSettings(rank=2, epochs=1, batch_size=3, accumulation=2, max_length=400)
ROWS = [
    {"anchor": f"Tom has {number} red balls.", "positive": "Tom has a ball.", "negative": "Tom has no ball."}
    for number in range(60)
]


@pytest.fixture(autouse=True)
def one_thread():
    """Matrices this small are slower on several threads, and many times so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_tiny_llama(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The same without a chat template."""
    return build_tiny_llama(tmp_path_factory.mktemp("bare") / "llama", template=None)


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """Adapters that have learnt two sentences by heart."""
    folder = tmp_path_factory.mktemp("trained")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    results = train("task", base, write(folder / "rows.jsonl", ROWS), folder / "task", FAST)
    torch.set_num_threads(threads)
    return folder / "task", results


def write(path, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def train(kind, model, rows, output, settings=BRIEF, **options):
    return train_generator(kind, str(model), str(rows), output, settings, progress=False, **options)


def record_of(folder):
    return json.loads((folder / "generator.json").read_text(encoding="utf-8"))


def tensors_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def asked(anchor, role="positive"):
    return request(load_prompt(role, PLACEHOLDERS), anchor, ENGLISH, ENGLISH)


# ---------------------------------------------------------------- training


def test_training_lowers_the_loss_on_anchors_that_it_did_not_see(trained):
    folder, results = trained
    assert sorted(results) == ["negative", "positive"]
    for role, result in results.items():
        assert result.loss_after < 0.5 * result.loss_before
        assert (result.held_out, result.steps) == (6, 24)
        assert result.rows == {"rows": 60, "kept": 60, "rejected": {}}
        assert record_of(folder / role)["result"] == json.loads(json.dumps(result.to_json()))
    assert sorted(path.name for path in folder.iterdir()) == ["negative", "positive"]  # and no checkpoints


def test_the_record_says_what_the_adapter_was_made_from(trained, base):
    record = record_of(trained[0] / "negative")
    assert (record["kind"], record["role"], record["language"]) == ("task", "negative", "eng")
    assert record["base"]["name"] == str(base)
    assert record["base"]["fingerprint"] == record["result"]["base"]
    assert record["prompt"] == dict(load_prompt("negative", PLACEHOLDERS).identity)
    assert record["settings"]["learning_rate"] == 1e-2
    assert record["quantised"] is False
    assert "loss after" in (trained[0] / "negative" / "README.md").read_text(encoding="utf-8")


def test_an_adapter_is_a_chat_model_in_transformers_and_stops_where_it_should(trained, base):
    from transformers import pipeline

    answers = {}
    for role in ("positive", "negative"):
        generator = pipeline("text-generation", model=str(trained[0] / role), device="cpu")
        message = [{"role": "user", "content": asked(ROWS[7]["anchor"], role)}]
        answers[role] = generator(message, do_sample=False, max_new_tokens=30)[0]["generated_text"][-1]["content"]
    assert answers == {"positive": "Tom has a ball.", "negative": "Tom has no ball."}


def test_an_adapter_is_a_chat_model_in_haystack(trained):
    transformers_generators = pytest.importorskip("haystack_integrations.components.generators.transformers")
    from haystack.dataclasses import ChatMessage

    generator = transformers_generators.TransformersChatGenerator(
        model=str(trained[0] / "negative"),
        task="text-generation",
        generation_kwargs={"do_sample": False, "max_new_tokens": 30, "add_special_tokens": False},
    )
    reply = generator.run([ChatMessage.from_user(asked(ROWS[7]["anchor"], "negative"))])["replies"][0]
    assert reply.text == "Tom has no ball."


def test_a_base_without_a_chat_template_gets_one_that_the_adapter_keeps(bare, tmp_path):
    from transformers import AutoTokenizer, pipeline

    results = train("task", bare, write(tmp_path / "rows.jsonl", ROWS), tmp_path / "task", FAST)
    assert results["positive"].loss_after < results["positive"].loss_before
    folder = str(tmp_path / "task" / "positive")
    message = [{"role": "user", "content": asked(ROWS[7]["anchor"])}]
    tokens = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        message, add_generation_prompt=True, return_dict=False
    )
    trained_on = causal.encode(causal.load_tokenizer(str(bare)), Example("a", message[0]["content"], "Tom."))
    assert trained_on["input_ids"][: len(tokens)] == tokens
    assert tokens.count(0) == 1  # begins with <s>, once
    generator = pipeline("text-generation", model=folder, tokenizer=folder, device="cpu")
    answer = generator(message, do_sample=False, max_new_tokens=30)[0]["generated_text"][-1]["content"]
    assert answer == "Tom has a ball."


def test_a_language_adapter_is_one_folder_and_knows_its_language(base, tmp_path):
    rows = write(tmp_path / "rows.jsonl", [{"text": f"La domo {number} estas granda."} for number in range(30)])
    result = train("language", base, rows, tmp_path / "epo", FAST, language="eo")["language"]
    assert result.loss_after < result.loss_before
    record = record_of(tmp_path / "epo")
    assert (record["kind"], record["language"], record["prompt"]) == ("language", "epo", None)
    assert check_adapter(tmp_path / "epo").base == str(base)


def test_the_settings_reach_peft_and_the_trainer(base, tmp_path):
    settings = LoraSettings(
        rank=3, alpha=5, dropout=0.25, target_modules=("q_proj", "down_proj"), epochs=1, batch_size=7
    )
    train("task", base, write(tmp_path / "rows.jsonl", ROWS[:20]), tmp_path / "task", settings)
    config = json.loads((tmp_path / "task" / "positive" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"], config["lora_dropout"], config["bias"]) == (3, 5, 0.25, "none")
    assert sorted(config["target_modules"]) == ["down_proj", "q_proj"]
    assert {name.split(".")[-3] for name in tensors_of(tmp_path / "task" / "positive")} == {"down_proj", "q_proj"}
    arguments = training._arguments(9000, tmp_path, LoraSettings(), bf16=False)
    assert (arguments.lr_scheduler_type, arguments.learning_rate) == ("constant_with_warmup", 2e-4)
    assert (arguments.max_grad_norm, arguments.num_train_epochs) == (0.3, 3)
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (16, 4)
    assert arguments.warmup_steps == int(0.03 * 3 * 141)  # 141 steps of 64 in 9,000 rows


def test_the_steps_are_those_that_the_warm_up_is_a_share_of(base, tmp_path):
    results = train("task", base, write(tmp_path / "rows.jsonl", ROWS), tmp_path / "task")
    assert results["positive"].steps == 9  # 54 rows in batches of 3, of which 2 a step


def test_all_linear_layers_are_those_that_text_goes_through():
    from transformers import AutoModelForCausalLM, Gemma3Config

    text = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "vocab_size": 32}
    vision = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(Gemma3Config(text_config=text, vision_config=vision))
    layers = causal.linear_layers(model)
    every = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    assert {name.rpartition(".")[2] for name in layers} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    }  # fmt: skip
    assert all("language_model" in name for name in layers)
    assert any("vision" in name for name in every)


def test_four_bits_are_nf4_twice_quantised_and_only_where_cuda_is():
    config = causal.quantisation()
    assert (config.load_in_4bit, config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == (True, "nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    if not torch.cuda.is_available():
        assert not causal.four_bits()


# ---------------------------------------------------------------- what the model reads


def test_the_loss_is_on_the_answer_and_its_end_alone_or_on_the_whole_of_a_text(base):
    tokenizer = causal.load_tokenizer(str(base))
    row = causal.encode(tokenizer, Example("a", "Who has the ball?", "Tom."))
    learnt = [token for token in row["labels"] if token != -100]
    assert tokenizer.decode(learnt) == "Tom.</s>"
    assert tokenizer.decode(row["input_ids"]) == "<s>[user] Who has the ball?\n[assistant] Tom.</s>"
    assert row["labels"] == [-100] * (len(row["input_ids"]) - len(learnt)) + row["input_ids"][-len(learnt) :]
    text = causal.encode(tokenizer, Example("Tom.", "", "Tom."))
    assert tokenizer.decode(text["input_ids"]) == "<s>Tom.</s>"
    assert text["labels"] == text["input_ids"]


def test_a_batch_is_padded_where_nothing_is_read_or_learnt():
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8], "labels": [8]}]
    batch = {name: values.tolist() for name, values in causal.Collator(padding=1)(rows).items()}
    assert batch == {
        "input_ids": [[5, 6, 7], [8, 1, 1]],
        "labels": [[-100, 6, 7], [8, -100, -100]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
    }


def only(rows, role="positive", *, into_english=False, spoken=None, prompts=None):
    prompt = load_prompt(role, PLACEHOLDERS, prompts)
    numbered = [(f"row {number}", row) for number, row in enumerate(rows, start=1)]
    return list(triplet_examples(numbered, role, prompt, spoken=spoken, into_english=into_english))


def test_the_request_names_both_languages():
    row = {"anchor": " Բարեւ ", "positive": "a\nb", "negative": "c", "language": "hye"}
    task, across = only([row])[0], only([row], "negative", into_english=True)[0]
    assert (task.anchor, task.text, across.text) == ("Բարեւ", "a b", "c")
    assert "a text in Armenian (հայերեն)" in task.request
    assert "sentence in Armenian (հայերեն)" in task.request
    assert "a text in Armenian (հայերեն)" in across.request
    assert "sentence in English " in across.request
    assert task.request == request(load_prompt("positive", PLACEHOLDERS), "Բարեւ", language("hye"), language("hye"))
    assert only([{**row, "language": None}], spoken="hau")[0].request.count("Hausa") == 2


def test_the_prompts_may_be_ones_own(base, tmp_path):
    (tmp_path / "prompts").mkdir()
    for role in ("positive", "negative"):
        text = f"version: mine\n{role}: $anchor ($anchor_language, $output_language)"
        (tmp_path / "prompts" / f"{role}.txt").write_text(text, encoding="utf-8")
    example = only([{"anchor": "x", "positive": "y"}], spoken="eng", prompts=tmp_path / "prompts")[0]
    assert example.request == "positive: x (English, English)"
    rows = write(tmp_path / "rows.jsonl", ROWS[:20])
    train("task", base, rows, tmp_path / "task", prompts=tmp_path / "prompts")
    assert record_of(tmp_path / "task" / "negative")["prompt"]["version"] == "mine"


def test_a_text_is_a_column_or_a_prompt_and_its_completion():
    rows = [("row 1", {"text": " a \n"}), ("row 2", {"prompt": "b", "completion": "c\nd"})]
    assert [example.text for example in text_examples(rows)] == ["a", "b\nc\nd"]
    assert all(example.request == "" for example in text_examples(rows))


# ---------------------------------------------------------------- rows


def test_every_form_of_file_gives_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [{"anchor": 'a "b", c', "positive": "դ\n\ne", "negative": "f"}, ROWS[0]]
    (tmp_path / "set").mkdir()
    paths = [tmp_path / "rows.jsonl", tmp_path / "rows.jsonl.gz", tmp_path / "set" / "train.jsonl"]
    for path in paths:
        write(path, rows)
    with (tmp_path / "rows.csv").open("w", encoding="utf-8-sig", newline="") as file:  # as spreadsheets write it
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    sources = [*paths[:2], tmp_path / "set", tmp_path / "rows.csv", tmp_path / "rows.csv.gz"]
    for source in sources:
        assert [row for _, row in read_rows(str(source))] == rows
    assert [where for where, _ in read_rows(str(paths[0]))] == [f"{paths[0]} line {number}" for number in (1, 2)]
    assert [where for where, _ in read_rows(str(tmp_path / "set"))][1] == f"{tmp_path / 'set'} row 2"
    assert [where for where, _ in read_rows(str(tmp_path / "rows.csv"))][1] == f"{tmp_path / 'rows.csv'} line 5"


def test_every_row_is_accounted_for_adapter_by_adapter(base, tmp_path):
    rows = [
        *ROWS[:20],
        ROWS[3],  # the same again
        {**ROWS[4], "negative": "Tom is a dog."},  # the same for the positive adapter only
        {**ROWS[5], "positive": " "},
        {**ROWS[6], "negative": "ball " * 400},
        {**ROWS[7], "anchor": ""},
    ]
    results = train("task", base, write(tmp_path / "rows.jsonl", rows), tmp_path / "task")
    assert results["positive"].rows == {"rows": 25, "kept": 20, "rejected": {"duplicate": 3, "empty": 2}}
    assert results["negative"].rows == {
        "rows": 25,
        "kept": 21,
        "rejected": {"duplicate": 2, "longer than max_length": 1, "empty": 1},
    }


def examples_of(anchors):
    return [Example(f"anchor {anchor}", "?", f"text {number}") for number, anchor in enumerate(anchors)]


def test_beyond_a_limit_rows_are_chosen_by_their_anchors_and_counted():
    counts = Counts()
    chosen = select(examples_of(range(50)), counts, limit=20, seed=1)
    assert len(chosen) == 20
    assert counts.to_json() == {"rows": 30, "kept": 0, "rejected": {"beyond max_rows": 30}}
    again = select(reversed(examples_of(range(50))), Counts(), limit=20, seed=1)
    assert again == chosen
    assert select(examples_of(range(50)), Counts(), limit=20, seed=2) != chosen
    other_texts = [Example(one.anchor, "!", one.text * 2) for one in examples_of(range(50))]
    anchors = [one.anchor for one in select(other_texts, Counts(), limit=20, seed=1)]
    assert anchors == [one.anchor for one in chosen]  # both adapters see the same ones


@pytest.mark.parametrize(("count", "most", "held"), [(100, 500, 10), (100, 4, 4), (6, 500, 1)])
def test_a_tenth_is_held_out_and_no_anchor_is_on_both_sides(count, most, held):
    train_on, held_out = set_aside(select(examples_of(range(count)), Counts(), limit=count, seed=3), most)
    assert (len(train_on), len(held_out)) == (count - held, held)
    shared = select(examples_of(number % 7 for number in range(count)), Counts(), limit=count, seed=3)
    train_on, held_out = set_aside(shared, most)
    assert held_out
    assert not {one.anchor for one in train_on} & {one.anchor for one in held_out}
    assert len(train_on) + len(held_out) == count


# ---------------------------------------------------------------- interrupted, repeated


class StopError(Exception):
    pass


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(base, tmp_path, monkeypatch):
    rows = write(tmp_path / "rows.jsonl", ROWS)
    expected = train("task", base, rows, tmp_path / "whole")

    class Dying(training._Bar):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 6:
                raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(training, "_Bar", Dying)
        with pytest.raises(StopError):
            train_generator("task", str(base), str(rows), tmp_path / "killed", BRIEF)
    left = tmp_path / "killed" / "positive.checkpoints"
    assert not (tmp_path / "killed" / "positive").exists()
    assert {path.name for path in left.iterdir()} == {"checkpoint-4", "checkpoint-5", "identity.json"}
    with pytest.raises(InputError, match="beginning of a training on other rows, base or settings"):
        train("task", base, rows, tmp_path / "killed", LoraSettings(epochs=2))
    resumed = train("task", base, rows, tmp_path / "killed")
    assert not left.exists()
    for role in ("positive", "negative"):
        one, other = (tensors_of(tmp_path / name / role) for name in ("whole", "killed"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert (resumed[role].loss_before, resumed[role].loss_after) == (
            expected[role].loss_before,
            expected[role].loss_after,
        )


def test_what_is_there_is_not_trained_again_and_never_written_over(base, tmp_path):
    rows = write(tmp_path / "rows.jsonl", ROWS[:30])
    first = train("task", base, rows, tmp_path / "task")
    weights = tmp_path / "task" / "positive" / "adapter_model.safetensors"
    made = weights.stat().st_mtime_ns
    assert train("task", base, rows, tmp_path / "task") == first
    assert weights.stat().st_mtime_ns == made
    for changed in ({"settings": LoraSettings(epochs=2)}, {"rows": write(tmp_path / "other.jsonl", ROWS[:29])}):
        with pytest.raises(InputError, match="positive holds something else already"):
            train("task", base, **{"rows": rows, "output": tmp_path / "task", **changed})
    shutil.rmtree(tmp_path / "task" / "positive")
    with pytest.raises(InputError, match="negative holds something else already"):
        train("task", base, rows, tmp_path / "task", LoraSettings(epochs=2))
    assert not (tmp_path / "task" / "positive").exists()  # refused before the first training
    assert weights.parent.parent.is_dir()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ({"anchor": "a", "positive": "b"}, "task", r"rows.jsonl line 21 .*not 'negative'"),
        ({"anchor": "a", "positive": 3, "negative": "c"}, "task", r"rows.jsonl line 21 has positive = 3.*not text"),
        ({"positive": "b", "negative": "c"}, "task", r"rows.jsonl line 21 .*not 'anchor'"),
        ({**ROWS[0], "language": "tlh"}, "task", r"rows.jsonl line 21: The language code 'tlh' is unknown"),
        (ROWS[0], "xl-lora", r"rows.jsonl line 1 does not say its anchor's language"),
        (ROWS[0], "language", "has to know its language: give --language"),
    ],
)
def test_rows_that_cannot_be_used_are_named(base, tmp_path, row, kind, message):
    rows = write(tmp_path / "rows.jsonl", [*ROWS[:20], row])
    with pytest.raises(InputError, match=message):
        train(kind, base, rows, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b'{"anchor": ', "line 1 is not valid JSON"),
        ("r.csv", b"anchor,positive\na,b,c\n", "r.csv line 2 has more cells"),
        ("r.csv", b'anchor,positive\na,"b" c\n', "r.csv after line 1 is not CSV"),
        ("r.csv", b"anchor,positive\na,\xff\n", "r.csv after line 1 is not CSV in UTF-8"),
        (
            "r.csv",
            b"anchor,positive,negative\nc,d,e\na,b\nf,g,h\n",
            "r.csv line 3 has negative = None, which is not text",
        ),
        ("r.csv.gz", b"no gzip", "r.csv.gz after line 1 is not CSV"),
    ],
)
def test_files_that_cannot_be_read_are_named(base, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        train("task", base, tmp_path / name, tmp_path / "out")


def test_what_is_neither_a_file_nor_a_data_set_is_refused(base, tmp_path):
    with pytest.raises(InputError, match=r"missing\.jsonl is neither a file nor a data set"):
        train("task", base, tmp_path / "missing.jsonl", tmp_path / "out")


@pytest.mark.parametrize("rows", [[], ROWS[:1], [ROWS[0], {**ROWS[0], "positive": "b", "negative": "c"}]])
def test_too_few_rows_are_refused(base, tmp_path, rows):
    with pytest.raises(InputError, match=f"{len(rows)} usable rows are left, .* need two anchors"):
        train("task", base, write(tmp_path / "rows.jsonl", rows), tmp_path / "out")


def test_models_that_cannot_be_trained_are_refused(base, trained, tmp_path):
    rows = write(tmp_path / "rows.jsonl", ROWS)
    with pytest.raises(InputError, match=r"The generator .*none cannot be loaded"):
        train("task", tmp_path / "none", rows, tmp_path / "out")
    with pytest.raises(InputError, match="is an adapter itself"):
        train("task", trained[0] / "positive", rows, tmp_path / "out")
    shutil.copytree(base, tmp_path / "endless")
    path = tmp_path / "endless" / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "eos_token": None}), encoding="utf-8")
    with pytest.raises(InputError, match="has no token for the end of a text"):
        train("task", tmp_path / "endless", rows, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 0) for name in ("rank", "alpha", "learning_rate", "batch_size", "accumulation", "epochs", "held_out")),
        *((name, 1) for name in ("dropout", "warmup", "max_length", "max_rows")),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}, but must be"):
        LoraSettings(**{name: value})


def test_without_peft_the_line_that_installs_it_is_named(base, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "haystack-lrl\[lora\]"'):
        train("task", base, tmp_path / "rows.jsonl", tmp_path / "out")
    with pytest.raises(MissingExtraError, match="lora"):
        check_adapter(tmp_path)


# ---------------------------------------------------------------- an adapter and its base


@pytest.fixture
def moved(trained, base, tmp_path):
    """A copy of an adapter and of its base, which a test may spoil."""
    adapter, own = tmp_path / "adapter", tmp_path / "llama"
    shutil.copytree(trained[0] / "positive", adapter)
    shutil.copytree(base, own)
    edit(adapter / "adapter_config.json", base_model_name_or_path=str(own))
    return adapter, own


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_an_adapter_that_fits_its_base_is_returned_with_it(moved):
    adapter = check_adapter(moved[0])
    assert (adapter.base, adapter.record["role"]) == (str(moved[1]), "positive")
    (moved[0] / "generator.json").unlink()  # one that was made elsewhere
    assert check_adapter(moved[0]).base_fingerprint == ""


def test_an_adapter_on_another_base_is_refused(moved):
    adapter, own = moved
    build_tiny_llama(own, seed=1)
    with pytest.raises(InputError, match="was trained on other weights than those that are now in its base"):
        check_adapter(adapter)
    build_tiny_llama(own, width=16)
    with pytest.raises(InputError, match=r"does not fit its base .* layer model\.layers\.0\."):
        check_adapter(adapter)
    (adapter / "generator.json").unlink()
    with pytest.raises(InputError, match="does not fit its base"):
        check_adapter(adapter)
    shutil.rmtree(own)
    with pytest.raises(InputError, match=f"The base model {own} cannot be loaded"):
        check_adapter(adapter)


def test_a_base_on_the_hub_is_identified_by_its_commit(base, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshots = tmp_path / "models--acme--llama" / "snapshots"
    (snapshots.parent / "refs").mkdir(parents=True)
    for commit in ("0" * 40, "1" * 40):
        (snapshots.parent / "refs" / "main").write_text(commit)
        shutil.copytree(base, snapshots / commit)
        assert identify_base("acme/llama") == commit
    with pytest.raises(InputError, match="The base model acme/none cannot be loaded"):
        identify_base("acme/none")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "is not an adapter, it has no adapter_config.json"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "adapter_config.json is not valid JSON"),
        (lambda folder: (folder / "generator.json").write_text("[]"), "holds a JSON list, not an object"),
        (lambda folder: edit(folder / "adapter_config.json", peft_type="IA3"), "of type IA3, not a LoRA"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
    ],
)
def test_folders_that_hold_no_lora_are_refused(moved, spoil, message):
    spoil(moved[0])
    with pytest.raises(InputError, match=message):
        check_adapter(moved[0])


# ---------------------------------------------------------------- the command


def invoke(*arguments):
    return CliRunner().invoke(train_generator_command, [str(argument) for argument in arguments])


def test_the_command_trains_and_prints_its_results(base, tmp_path):
    rows = write(tmp_path / "rows.jsonl", [{**row, "language": "epo"} for row in ROWS])
    done = invoke(
        "--kind", "xl-lora", "--model", base, "--rows", rows, "--output", tmp_path / "xl", "--quiet",
        "--set", "rank=2", "--set", "epochs=1", "--set", "target_modules=[q_proj, v_proj]", "--set", "batch_size=9",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert sorted(printed) == ["negative", "positive"]
    record = record_of(tmp_path / "xl" / "positive")
    assert printed["positive"] == record["result"]
    assert record["settings"]["target_modules"] == ["q_proj", "v_proj"]
    assert (record["kind"], record["language"]) == ("xl-lora", None)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ranks=2", "the setting ranks, which does not exist: did you mean rank?"),
        ("rank=two", "for rank = 'two'"),
        ("rank=-1", "rank is -1, but must be above 0"),
    ],
)
def test_the_command_refuses_settings_that_it_does_not_have(base, tmp_path, assignment, message):
    done = invoke(
        "--kind", "task", "--model", base, "--rows", tmp_path / "r", "--output", tmp_path / "o", "--set", assignment
    )
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


# ---------------------------------------------------------------- real weights


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["task", "language", "xl-lora"])
def test_real_weights_learn(shared, tmp_path, kind):
    from transformers import pipeline

    names, things = ("Tom", "Lily", "Max", "Sue", "Ben", "Mia"), ("ball", "dog", "cat", "box", "tree", "hat")
    rows = [
        {
            "anchor": f"{name} has a {colour} {thing}.",
            "positive": f"{name} has a {thing}.",
            "negative": f"{name} has no {thing}.",
            "text": f"La {thing} de {name} estas {colour}.",
            "language": "epo" if kind == "xl-lora" else "eng",
        }
        for name in names
        for thing in things
        for colour in ("red", "big", "new", "old")
    ]
    settings = LoraSettings(learning_rate=1e-2, epochs=1, accumulation=1)
    base = shared / "models" / "stories260K-hf"
    spoken = "epo" if kind == "language" else None
    results = train(kind, base, write(tmp_path / "rows.jsonl", rows), tmp_path / kind, settings, language=spoken)
    for result in results.values():
        assert result.loss_after < 0.5 * result.loss_before
    if kind == "language":
        return
    answers = {}
    for role in results:
        folder = str(tmp_path / kind / role)
        generator = pipeline("text-generation", model=folder, tokenizer=folder, device="cpu")
        spoken = language("epo") if kind == "xl-lora" else ENGLISH
        question = request(load_prompt(role, PLACEHOLDERS), "Sam has a red cat.", spoken, ENGLISH)
        # its rows for </s> and for hundreds of bytes are one, so it cannot learn to stop
        message = generator([{"role": "user", "content": question}], do_sample=False, max_new_tokens=10)
        answers[role] = message[0]["generated_text"][-1]["content"]
    assert "has a" in answers["positive"]
    assert "has no" in answers["negative"]

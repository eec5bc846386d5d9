import json
import math
import shutil

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from tiny_llama import build_tiny_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from haystack_lrl.cli.generators import compose_adapters_command
from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.synthesis.loras.adapters import check_adapter
from haystack_lrl.synthesis.loras.composition import compose_adapters
from haystack_lrl.synthesis.loras.factors import Factors, combine, shorten

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


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


def build_adapter(folder, base, seed, *, record=None, **options):
    """Save a LoRA whose factors are random."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ALL, "task_type": "CAUSAL_LM", **options})
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.1)
    model.save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    if record:
        (folder / "generator.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    return [build_adapter(folder / name, base, seed) for seed, name in enumerate(("task", "target", "source"))]


def changes(base, folder):
    """Return what PEFT adds to the weight of every layer."""
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(folder))
    return {
        name: module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }


def expected(base, folders, weight):
    task, target, source = (changes(base, folder) for folder in folders)
    zero = torch.zeros(())
    return {
        name: task.get(name, zero) + weight * (target.get(name, zero) - source.get(name, zero))
        for name in task | target | source
    }


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name, weights in one.items():
        torch.testing.assert_close(weights, other[name], rtol=1e-4, atol=1e-5)


def config_of(folder):
    return json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))


def edit(path, **values):
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**old, **values}), encoding="utf-8")


# ---------------------------------------------------------------- the arithmetic


def random_factors(outputs, inputs, rank, seed):
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(outputs, rank, generator=generator, dtype=torch.float64)
    return Factors(left, torch.randn(rank, inputs, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (9, 30), (30, 7)])  # the last two have fewer rows than ranks
@pytest.mark.parametrize("rank", [1, 4, 12, 20])
def test_the_shortened_product_is_that_of_the_dense_matrix(shape, rank):
    parts = [
        (1.0, random_factors(*shape, 4, 0)),
        (0.7, random_factors(*shape, 3, 1)),
        (-0.7, random_factors(*shape, 5, 2)),
    ]
    dense = sum(weight * part.left @ part.right for weight, part in parts)
    u, values, v = torch.linalg.svd(dense, full_matrices=False)
    whole = combine(parts)
    assert whole.rank == 12
    torch.testing.assert_close(whole.left @ whole.right, dense)
    short, lost, norm = shorten(whole, rank)
    assert short.rank == rank
    assert short.left.shape == (shape[0], rank)
    torch.testing.assert_close(short.left @ short.right, u[:, :rank] * values[:rank] @ v[:rank])
    assert lost == pytest.approx(float((dense - short.left @ short.right).norm()), abs=1e-9)
    assert norm == pytest.approx(float(dense.norm()))


def test_a_product_too_large_to_be_computed_is_shortened():
    side = 200_000  # the product would take 320 GB
    short, lost, norm = shorten(random_factors(side, side, 6, 0), 2)
    assert short.left.shape == (side, 2)
    assert 0 < lost < norm


# ---------------------------------------------------------------- the composition


def test_lambda_0_returns_the_task_adapter(base, adapters, tmp_path):
    result = compose_adapters(*adapters, tmp_path / "out", weight=0)[""]
    assert_close(changes(base, tmp_path / "out"), changes(base, adapters[0]))
    assert result.rank == 4
    assert result.error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_full_rank_returns_the_sum(base, adapters, tmp_path, weight):
    result = compose_adapters(*adapters, tmp_path / "out", weight=weight, rank=12)[""]
    assert_close(changes(base, tmp_path / "out"), expected(base, adapters, weight))
    assert result.error == pytest.approx(0, abs=1e-12)


def test_a_lower_rank_loses_what_it_says(base, adapters, tmp_path):
    result = compose_adapters(*adapters, tmp_path / "out")[""]
    got, wanted = changes(base, tmp_path / "out"), expected(base, adapters, 1.0)
    lost = {name: float((got[name] - wanted[name]).norm()) for name in wanted}
    whole = {name: float(weights.norm()) for name, weights in wanted.items()}
    assert result.rank == 4
    assert {name.removeprefix("base_model.model."): lost[name] / whole[name] for name in lost} == pytest.approx(
        result.layers, rel=1e-3
    )
    assert result.error == pytest.approx(math.hypot(*lost.values()) / math.hypot(*whole.values()), rel=1e-3)
    assert 0.2 < result.error < 0.8  # of three random products of rank 4, most of one is kept
    assert config_of(tmp_path / "out")["r"] == config_of(tmp_path / "out")["lora_alpha"] == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"r": 2, "lora_alpha": 3},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 6, r"layers\.1\.mlp\.up_proj": 2}},
        {"alpha_pattern": {"layers.0.self_attn.q_proj": 1, "down_proj": 32}},
        {"target_modules": ["q_proj"]},
        {"layers_to_transform": [1], "layers_pattern": "layers"},
        {"exclude_modules": ["model.layers.0.mlp.up_proj"]},
        {"init_lora_weights": "gaussian", "lora_dropout": 0.5},
    ],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("place", [0, 1])
def test_adapters_of_unlike_settings_compose_as_peft_applies_them(base, adapters, tmp_path, changed, place):
    folders = [*adapters]
    folders[place] = build_adapter(tmp_path / "other", base, 7, **changed)
    compose_adapters(*folders, tmp_path / "out", weight=0.5, rank=16)
    assert_close(changes(base, tmp_path / "out"), expected(base, folders, 0.5))
    check_adapter(tmp_path / "out")


def test_a_layer_that_only_a_language_has_is_there_afterwards_and_at_lambda_0_is_not(base, adapters, tmp_path):
    few = build_adapter(tmp_path / "few", base, 8, target_modules=["q_proj"], layers_to_transform=[0])
    compose_adapters(few, *adapters[1:], tmp_path / "all")
    assert len(changes(base, tmp_path / "all")) == 14
    compose_adapters(few, *adapters[1:], tmp_path / "one", weight=0)
    assert_close(changes(base, tmp_path / "one"), changes(base, few))


def test_the_highest_rank_of_the_task_adapter_is_the_default(base, adapters, tmp_path):
    task = build_adapter(tmp_path / "task", base, 9, rank_pattern={"q_proj": 6})
    assert compose_adapters(task, *adapters[1:], tmp_path / "out")[""].rank == 6
    assert config_of(tmp_path / "out")["rank_pattern"] == {}


def test_the_composed_adapter_is_a_chat_model(base, adapters, tmp_path):
    from transformers import pipeline

    compose_adapters(*adapters, tmp_path / "out", rank=12)
    generator = pipeline("text-generation", model=str(tmp_path / "out"), device="cpu")
    message = [{"role": "user", "content": "Tom?"}]
    answer = generator(message, do_sample=False, max_new_tokens=8)[0]["generated_text"][-1]["content"]
    model = AutoModelForCausalLM.from_pretrained(base)
    for name, change in expected(base, adapters, 1.0).items():
        model.get_submodule(name.removeprefix("base_model.model.")).weight.data += change
    by_hand = pipeline("text-generation", model=model, tokenizer=generator.tokenizer, device="cpu")
    assert answer == by_hand(message, do_sample=False, max_new_tokens=8)[0]["generated_text"][-1]["content"]
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    shutil.rmtree(tmp_path / "out")
    compose_adapters(*adapters, tmp_path / "out", rank=12)  # the same again


def test_positive_and_negative_are_composed_each(base, adapters, tmp_path):
    record = {"kind": "task", "language": "eng", "prompt": {"prompt": "positive"}, "base": {"name": "b"}}
    for seed, role in enumerate(("positive", "negative")):
        build_adapter(tmp_path / "task" / role, base, seed, record={**record, "role": role})
    results = compose_adapters(tmp_path / "task", *adapters[1:], tmp_path / "out", weight=0.5)
    assert sorted(results) == ["negative", "positive"]
    for role, result in results.items():
        written = json.loads((tmp_path / "out" / role / "generator.json").read_text(encoding="utf-8"))
        assert (written["kind"], written["role"], written["lambda"]) == ("composed", role, 0.5)
        assert written["prompt"] == {"prompt": "positive"}
        assert written["result"]["layers"] == result.layers
        assert sorted(written["parts"]) == ["language", "source_language", "task"]
    shutil.rmtree(tmp_path / "task" / "negative")
    with pytest.raises(InputError, match=r"has neither adapter_config\.json nor negative/adapter_config\.json"):
        compose_adapters(tmp_path / "task", *adapters[1:], tmp_path / "other")


def test_what_is_there_is_not_composed_again_and_never_written_over(adapters, tmp_path):
    first = compose_adapters(*adapters, tmp_path / "out")
    made = (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns
    assert compose_adapters(*adapters, tmp_path / "out") == first
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns == made
    with pytest.raises(InputError, match="out holds something else already"):
        compose_adapters(*adapters, tmp_path / "out", weight=0.5)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_dora": True}, "has use_dora = True, so what it changes in its base is not the product BA alone"),
        ({"bias": "all"}, "has bias = 'all', so"),
        ({"lora_bias": True}, "has lora_bias = True, so"),
        ({"modules_to_save": ["lm_head"]}, "has modules_to_save"),
        ({"init_lora_weights": "pissa"}, "has init_lora_weights = 'pissa'"),
        (
            {"target_modules": [*ALL, "embed_tokens"]},
            "embed_tokens.* is no factor of a linear layer|which is no factor",
        ),
        ({"trainable_token_indices": [3]}, "has trainable_token_indices"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_adapters_that_change_more_than_a_product_are_refused(base, adapters, tmp_path, options, message, place):
    folders = [*adapters]
    folders[place] = build_adapter(tmp_path / "other", base, 7, **options)
    with pytest.raises(InputError, match=message) as refused:
        compose_adapters(*folders, tmp_path / "out")
    assert str(tmp_path / "other") in str(refused.value)
    assert not (tmp_path / "out").exists()


def copied(adapters, tmp_path):
    return [shutil.copytree(folder, tmp_path / folder.name) for folder in adapters]


def test_adapters_of_another_base_are_refused(adapters, tmp_path):
    folders = copied(adapters, tmp_path)
    edit(folders[2] / "adapter_config.json", base_model_name_or_path="elsewhere")
    with pytest.raises(InputError, match=r"source belong to different base models, .*llama and elsewhere"):
        compose_adapters(*folders, tmp_path / "out")
    for folder, kind in zip(folders, ("task", "language", "language"), strict=True):  # the same model at another place
        edit(folder / "generator.json", kind=kind, base={"name": "b", "fingerprint": "1"})
    compose_adapters(*folders, tmp_path / "out")
    edit(folders[0] / "generator.json", base={"name": "b", "fingerprint": "2"})
    with pytest.raises(InputError, match="different weights of one"):
        compose_adapters(*folders, tmp_path / "other")


def test_layers_of_another_shape_are_refused(base, adapters, tmp_path):
    wide = build_tiny_llama(tmp_path / "wide", width=48)
    other = build_adapter(tmp_path / "other", wide, 5)
    edit(other / "adapter_config.json", base_model_name_or_path=str(base))
    with pytest.raises(InputError, match=r"layer model\.layers\..* in the shapes \(32, 64\) and \(48, 96\)"):
        compose_adapters(adapters[0], other, adapters[2], tmp_path / "out")


def test_exchanged_folders_are_refused(adapters, tmp_path):
    folders = copied(adapters, tmp_path)
    edit(folders[0] / "generator.json", kind="language")
    edit(folders[1] / "generator.json", kind="task")
    with pytest.raises(InputError, match="task is an adapter of kind language, where the adapter of a task belongs"):
        compose_adapters(*folders, tmp_path / "out")
    with pytest.raises(InputError, match="target is an adapter of kind task, where a language adapter belongs"):
        compose_adapters(adapters[0], *folders[1:], tmp_path / "out")


def test_half_an_adapter_is_refused(adapters, tmp_path):
    folders = copied(adapters, tmp_path)
    path = folders[1] / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file(dict(list(tensors.items())[:-1]), path)
    with pytest.raises(InputError, match=r"adapter_model\.safetensors is not whole"):
        compose_adapters(*folders, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "lambda is -1.0, but must be"),
        ({"weight": math.nan}, "lambda is nan"),
        ({"rank": 0}, "The rank is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(adapters, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        compose_adapters(*adapters, tmp_path / "out", **options)


def test_without_peft_the_line_that_installs_it_is_named(adapters, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "haystack-lrl\[lora\]"'):
        compose_adapters(*adapters, tmp_path / "out")


# ---------------------------------------------------------------- the command, and real weights


def invoke(task, target, source, output, *more):
    named = {"--task": task, "--language": target, "--source-language": source, "--output": output}
    arguments = [str(part) for pair in named.items() for part in pair]
    return CliRunner().invoke(compose_adapters_command, [*arguments, *more])


def test_the_command_composes_and_says_what_was_lost(base, adapters, tmp_path):
    done = invoke(*adapters, tmp_path / "out", "--lambda", "0.5", "--rank", "3")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)["adapter"]
    result = compose_adapters(*adapters, tmp_path / "out", weight=0.5, rank=3)[""]
    assert printed["rank"] == 3
    assert printed["error"] == result.error
    assert printed["worst_error"] == max(result.layers.values())
    assert result.layers[printed["worst_layer"]] == printed["worst_error"]


@pytest.mark.integration
def test_real_adapters_compose_into_one_that_generates(shared, tmp_path):
    from haystack_lrl.synthesis.loras.generator import train_generator
    from haystack_lrl.synthesis.loras.settings import LoraSettings

    base = str(shared / "models" / "stories260K-hf")
    settings = LoraSettings(learning_rate=1e-2, epochs=1, accumulation=1)
    rows = [
        {
            "anchor": f"{name} has a {thing}.",
            "positive": f"{name} has it.",
            "negative": f"{name} has no {thing}.",
            "English": f"{name} likes the {thing}.",
            "target": f"{thing} la {name} gud.",
        }
        for name in ("Tom", "Lily", "Max", "Sue", "Ben", "Mia")
        for thing in ("ball", "dog", "cat", "box", "tree", "hat", "car", "cup")
    ]
    triplets = tmp_path / "rows.jsonl"
    triplets.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    results = train_generator("task", base, str(triplets), tmp_path / "task", settings, progress=False)
    for name, code in (("English", "eng"), ("target", "epo")):
        texts = tmp_path / f"{name}.jsonl"
        texts.write_text("".join(json.dumps({"text": row[name]}) + "\n" for row in rows), encoding="utf-8")
        results |= train_generator(
            "language", base, str(texts), tmp_path / name, settings, language=code, progress=False
        )
        assert results["language"].loss_after < 0.9 * results["language"].loss_before
    assert results["positive"].loss_after < 0.9 * results["positive"].loss_before
    composed = compose_adapters(tmp_path / "task", tmp_path / "target", tmp_path / "English", tmp_path / "out")
    assert all(0 < result.error < 1 for result in composed.values())
    answers = {answer(tmp_path / folder / "positive") for folder in ("task", "out")}
    assert len(answers) == 2  # composing changed what is said
    assert all(answers)
    assert check_adapter(tmp_path / "out" / "negative").record["language"] == "epo"


def answer(folder):
    """Return what Haystack's generator says; the base has no chat template, so the tokenizer is named as well."""
    generators = pytest.importorskip("haystack_integrations.components.generators.transformers")
    from haystack.dataclasses import ChatMessage

    generator = generators.TransformersChatGenerator(
        model=str(folder),
        task="text-generation",
        generation_kwargs={"do_sample": False, "max_new_tokens": 12, "add_special_tokens": False},
        huggingface_pipeline_kwargs={"tokenizer": str(folder)},
    )
    return generator.run([ChatMessage.from_user("Max has a ball.")])["replies"][0].text

import json
import random
import shutil
import sys

import pytest
from tiny_translators import MAKERS, POSITIONS, WORDS

from haystack_lrl.encoding import hardware
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.synthesis.ct2 import CT2Translator
from haystack_lrl.synthesis.seq2seq import Seq2SeqTranslator
from haystack_lrl.synthesis.translator import load_translator

pytest.importorskip("ctranslate2")

HYE = language("hye")
NAMES = {"آتزمون": "atzmon", "آتشيسون": "achison", "محمد": "mahmad", "فاطمة": "fatma", "ابراهيم": "abrahim"}
MORE_NAMES = ["احمد", "يوسف", "مريم", "خالد", "سعيد", "ليلى", "نور", "حسن", "علي", "عمر", "زينب", "كريم", "سلمى"]
OWN = {"config.json", "generation_config.json", "model.safetensors"}  # what is no file of the tokenizer


def convert(folder, output, *, quantization=None, copied=None, kind=None):
    from ctranslate2.converters import TransformersConverter

    if copied is None:
        copied = [path.name for path in folder.iterdir() if path.name not in OWN]
    converter = (kind or TransformersConverter)(str(folder), copy_files=copied)
    converter.convert(str(output), quantization=quantization)
    return output


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders for transformers and for CTranslate2, by the family of the model."""
    made = {}

    def get(family):
        if family not in made:
            folder = tmp_path_factory.mktemp("models")
            model = MAKERS[family](folder / family)
            made[family] = model, convert(model, folder / f"{family}-ct2")
        return made[family]

    return get


@pytest.fixture
def nllb(models, tmp_path):
    """A converted model that the test may spoil."""
    return shutil.copytree(models("nllb")[1], tmp_path / "nllb")


def texts(count):
    rng = random.Random(3)
    sizes = [rng.randint(0, 7) for _ in range(count)]
    return [(" ".join(rng.choices(WORDS, k=size)), "the cat! dogs do not!") for size in sizes]


@pytest.mark.parametrize(
    ("family", "num_beams"),
    # MADLAD with one beam only: transformers 5 calls its tables tied, from which the converter takes a scale of scores
    [("nllb", 1), ("nllb", 4), ("m2m100", 1), ("m2m100", 4), ("opus", 1), ("opus", 4), ("madlad", 1)],
)
def test_in_32_bits_it_writes_what_transformers_writes(family, num_beams, models, monkeypatch):
    monkeypatch.setattr(hardware, "has_fast_bf16", lambda device: False)
    model, converted = models(family)
    options = {"num_beams": num_beams, "batch_tokens": 512, "device": "cpu"}
    plain = Seq2SeqTranslator(str(model), HYE, **options)
    fast = CT2Translator(converted, HYE, compute_type="float32", **options)
    items = [*texts(20), (" ".join(WORDS * 8), "x" * 2 * POSITIONS)]  # longer than the model in words, and in one
    expected = list(plain.translate(items))
    assert list(fast.translate(items)) == expected
    assert len(set(expected)) > 3


@pytest.mark.parametrize(
    ("family", "source", "prefix"),
    [
        ("nllb", "eng_Latn", [["hye_Armn"]]),
        ("m2m100", "__en__", [["__hy__"]]),
        ("opus", ">>hye<<", None),
        ("madlad", "<2hy>", None),
    ],
)
def test_the_languages_reach_the_model(family, source, prefix, models, monkeypatch):
    translator = CT2Translator(models(family)[1], HYE)
    seen = {}

    class Spy:
        def translate_batch(self, tokens, **options):
            seen.update(options, tokens=tokens)
            return loaded.translate_batch(tokens, **options)

    loaded = translator._loaded
    monkeypatch.setattr(translator, "_loaded", Spy())
    assert len(list(translator.translate([("the cat",)]))) == 1
    assert seen["tokens"][0][0] == source
    assert seen["target_prefix"] == prefix
    assert seen["max_decoding_length"] == min(2 * len(seen["tokens"][0]) + 16, POSITIONS - 1)


class Echo:
    """A model that answers with what it is asked, later."""

    def __init__(self):
        self.sizes = []

    def translate_batch(self, tokens, *, target_prefix, **options):
        self.sizes.append(len(tokens))
        return [Later([prefix + source]) for source, prefix in zip(tokens, target_prefix, strict=True)]


class Later(list):
    @property
    def hypotheses(self):
        return self

    def result(self):
        return self


def test_order_and_grouping_survive_batches(models, monkeypatch):
    translator = CT2Translator(models("nllb")[1], HYE, batch_tokens=200)
    monkeypatch.setattr(translator, "_loaded", Echo())
    items = texts(600)
    assert list(translator.translate(iter(items))) == items
    assert 1 < max(translator._loaded.sizes) < 200


def test_empty_texts_stay_empty_and_load_nothing(nllb):
    (nllb / "model.bin").write_bytes(b"")
    translator = CT2Translator(nllb, HYE)
    assert list(translator.translate([("", " \n ")])) == [("", "")]
    assert list(translator.translate([])) == []


def test_it_runs_in_8_bits_on_a_processor(models):
    translator = CT2Translator(models("nllb")[1], HYE, device="cpu")
    assert translator.identity["compute_type"] == "int8"
    assert translator._loaded.compute_type == "int8_float32"


def test_loading_leaves_the_threads_of_torch_alone(models):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        translator = CT2Translator(models("nllb")[1], HYE, device="cpu")
        assert len(list(translator.translate(texts(3)))) == 3
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)


def test_identity_follows_weights_language_and_options(nllb, tmp_path):
    identity = CT2Translator(nllb, HYE).identity
    moved = shutil.copytree(nllb, tmp_path / "elsewhere" / "nllb")
    assert load_translator(f"ct2:{moved}", HYE).identity == identity
    assert CT2Translator(nllb, HYE, batch_tokens=7).identity == identity
    assert CT2Translator(nllb, language("kat")).identity != identity
    assert CT2Translator(nllb, HYE, num_beams=4).identity != identity
    assert CT2Translator(nllb, HYE, compute_type="float32").identity != identity
    (moved / "model.bin").write_bytes(b"retrained")
    assert CT2Translator(moved, HYE).identity != identity


def test_an_opennmt_model_of_characters_needs_no_tokenizer(tmp_path):
    for name, letters in (("source", "abc"), ("target", "xyc")):
        (tmp_path / f"{name}_vocabulary.txt").write_text("\n".join(["<blank>", "<s>", "</s>", *letters]) + "\n")
    (tmp_path / "model.bin").touch()
    translator = CT2Translator(tmp_path, HYE)
    assert translator._tokenizer.own.tokenize("ab c?") == ["a", "b", "<unk>", "c", "<unk>"]
    ids = translator._tokenizer.own.convert_tokens_to_ids(["y", "c", "x"])
    assert translator._tokenizer.decode([ids]) == ["ycx"]


def refused(folder, problem, spoken=HYE, **options):
    """Translate something, and return the one sentence that says why it cannot be."""
    with pytest.raises(InputError, match=problem) as caught:
        list(CT2Translator(folder, spoken, **options).translate([("the cat",)]))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_what_is_no_converted_model_is_refused(nllb, tmp_path):
    assert "ct2-transformers-converter" in refused(tmp_path / "nowhere", r"nowhere holds no CTranslate2 model")
    (nllb / "shared_vocabulary.json").rename(nllb / "vocabulary.json")  # where a language model's tokens are
    refused(nllb, "does not translate")
    (nllb / "model.bin").unlink()
    refused(nllb, r"holds no CTranslate2 model \(model.bin\)")


@pytest.mark.parametrize("keep", [0, 3, 5000, -4])
def test_damaged_weights_are_refused(nllb, keep):
    (nllb / "model.bin").write_bytes((nllb / "model.bin").read_bytes()[:keep])
    refused(nllb, r"CTranslate2 cannot run the model in .*nllb \(.*\): convert it again")


def test_weights_of_something_else_are_refused(nllb):
    (nllb / "model.bin").write_bytes(b"a picture of a cat " * 100)
    refused(nllb, "Unsupported model binary version")


def test_a_missing_tokenizer_is_named_with_the_remedy(models, tmp_path):
    bare = convert(models("nllb")[0], tmp_path / "bare", copied=[])
    assert "--copy_files tokenizer_config.json" in refused(bare, r"holds no tokenizer \(tokenizer_config.json\)")
    half = convert(models("m2m100")[0], tmp_path / "half", copied=["tokenizer_config.json"])
    assert "--copy_files" in refused(half, "tokenizer in .* cannot be loaded")
    hollow = convert(models("madlad")[0], tmp_path / "hollow", copied=["tokenizer_config.json"])
    assert "--copy_files" in refused(hollow, "knows too few of the model's tokens")


def test_a_language_that_the_model_does_not_know_is_refused(nllb):
    refused(nllb, r"does not know Breton \(bre\)", language("bre"))
    tokens = json.loads((nllb / "shared_vocabulary.json").read_text())
    (nllb / "shared_vocabulary.json").write_text(json.dumps(["?" if t == "hye_Armn" else t for t in tokens]))
    refused(nllb, "not that of the model, which lacks its token hye_Armn")


def test_what_the_machine_cannot_do_is_refused(nllb):
    refused(nllb, "Invalid compute type: int5", compute_type="int5")
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        refused(nllb, "CUDA", device="cuda")


def test_a_missing_package_is_named(nllb, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(MissingExtraError, match=r'pip install "haystack-lrl\[ct2\]"'):
        load_translator(f"ct2:{nllb}", HYE)


@pytest.fixture
def aren(shared):
    """The shared transliterator for transformers and for CTranslate2."""
    return shared / "models" / "hf-m2m100-aren-transliteration", shared / "models" / "ct2-aren-transliteration"


@pytest.mark.integration
@pytest.mark.parametrize("num_beams", [1, 4])
def test_names_are_transliterated(aren, num_beams):
    items = list(zip(NAMES, reversed(NAMES), strict=True))
    expected = [(NAMES[one], NAMES[other]) for one, other in items]
    assert list(Seq2SeqTranslator(str(aren[0]), HYE, num_beams=num_beams).translate(items)) == expected
    for compute_type in (None, "float32"):
        translator = CT2Translator(aren[1], HYE, num_beams=num_beams, compute_type=compute_type)
        assert list(translator.translate(items)) == expected


@pytest.mark.integration
@pytest.mark.parametrize("num_beams", [1, 4])
def test_names_come_out_as_from_transformers(aren, num_beams, monkeypatch):
    monkeypatch.setattr(hardware, "has_fast_bf16", lambda device: False)
    items = [(name,) for name in [*NAMES, *MORE_NAMES]]
    plain = Seq2SeqTranslator(str(aren[0]), HYE, num_beams=num_beams, device="cpu")
    fast = CT2Translator(aren[1], HYE, num_beams=num_beams, compute_type="float32", device="cpu")
    assert list(fast.translate(items)) == list(plain.translate(items))


@pytest.mark.integration
def test_a_conversion_to_8_bits_keeps_the_names(aren, tmp_path):
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):
        """The converter takes token 1 for padding, as NLLB has it; this model has 0, which shifts positions by one."""

        def load_model(self, *args, **kwargs):
            model = super().load_model(*args, **kwargs)
            for part in (model.model.encoder, model.model.decoder):
                part.embed_positions.offset = part.embed_positions.padding_idx + 1
            return model

    copied = ["tokenizer.json", "tokenizer_config.json"]
    folder = convert(aren[0], tmp_path / "aren", quantization="int8", copied=copied, kind=Converter)
    assert (folder / "model.bin").stat().st_size < (aren[1] / "model.bin").stat().st_size / 2
    result = list(load_translator(f"ct2:{folder}", HYE).translate((name,) for name in NAMES))
    assert result == [(name,) for name in NAMES.values()]


@pytest.mark.integration
def test_a_language_model_is_not_a_translator(shared, tmp_path):
    copied = ["tokenizer.json", "tokenizer_config.json"]
    refused(convert(shared / "models" / "stories260K-hf", tmp_path / "llama", copied=copied), "does not translate")

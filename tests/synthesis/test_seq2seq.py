import json
import shutil

import pytest
from tiny_translators import make_m2m100, make_nllb

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.seq2seq import Seq2SeqTranslator
from haystack_lrl.synthesis.translator import load_translator


@pytest.fixture(scope="module")
def nllb(tmp_path_factory):
    return str(make_nllb(tmp_path_factory.mktemp("models") / "nllb"))


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory):
    return str(make_m2m100(tmp_path_factory.mktemp("models") / "m2m100"))


@pytest.mark.parametrize(
    ("name", "source", "target"), [("nllb", "eng_Latn", "hye_Armn"), ("m2m100", "__en__", "__hy__")]
)
def test_source_and_target_language_reach_the_model(name, source, target, request, monkeypatch):
    translator = Seq2SeqTranslator(request.getfixturevalue(name), language("hye"), device="cpu")
    seen = {}
    generate = translator._loaded.generate

    def spy(**inputs):
        seen.update(inputs, output=generate(**inputs))
        return seen["output"]

    monkeypatch.setattr(translator._loaded, "generate", spy)
    assert len(list(translator.translate([("the cat", "dogs sleep")]))) == 1
    tokenizer = translator._tokenizer.own
    assert {tokenizer.convert_ids_to_tokens(row[0].item()) for row in seen["input_ids"]} == {source}
    assert {tokenizer.convert_ids_to_tokens(row[1].item()) for row in seen["output"]} == {target}
    assert "token_type_ids" not in seen


def test_a_language_token_that_is_not_special_stays_out_of_the_text(m2m100, tmp_path):
    model = shutil.copytree(m2m100, tmp_path / "m2m100")
    settings = json.loads((model / "tokenizer_config.json").read_text())
    del settings["additional_special_tokens"]  # as M2M100's own folder has it, for transformers 5
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    translator = Seq2SeqTranslator(str(model), language("hye"), device="cpu")
    assert translator._tokenizer.own.convert_tokens_to_ids("__hy__") not in translator._tokenizer.own.all_special_ids
    ((text,),) = translator.translate([("the cat",)])
    assert text
    assert not text.startswith("__hy__")


def test_empty_texts_stay_empty(nllb):
    translator = Seq2SeqTranslator(nllb, language("hye"))
    assert list(translator.translate([("", " \n ")])) == [("", "")]
    assert list(translator.translate([])) == []


def test_identity_follows_weights_language_and_options(nllb, tmp_path):
    identity = Seq2SeqTranslator(nllb, language("hye")).identity
    moved = shutil.copytree(nllb, tmp_path / "nllb")
    assert Seq2SeqTranslator(str(moved), language("hye")).identity == identity
    assert Seq2SeqTranslator(nllb, language("kat")).identity != identity
    assert Seq2SeqTranslator(nllb, language("hye"), num_beams=4).identity != identity
    (moved / "generation_config.json").write_text('{"max_length": 9}')
    assert Seq2SeqTranslator(str(moved), language("hye")).identity != identity


def test_what_the_user_can_mend(tmp_path, nllb):
    with pytest.raises(InputError, match="does not know Breton"):
        load_translator(f"seq2seq:{nllb}", language("bre"))
    for missing in (str(tmp_path), str(tmp_path / "nowhere"), "nobody/nothing"):
        with pytest.raises(InputError, match=r"cannot be loaded .* give the path of a folder"):
            load_translator(f"seq2seq:{missing}", language("hye"))


@pytest.mark.integration
def test_names_are_transliterated(shared):
    translator = load_translator(f"seq2seq:{shared / 'models' / 'hf-m2m100-aren-transliteration'}", language("hye"))
    names = ["آتزمون", "آتشيسون", "محمد", "فاطمة", "ابراهيم"]
    result = list(translator.translate(zip(names, reversed(names), strict=True)))
    expected = ["atzmon", "achison", "mahmad", "fatma", "abrahim"]
    assert result == list(zip(expected, reversed(expected), strict=True))


@pytest.mark.integration
def test_a_language_model_is_not_a_translator(shared):
    with pytest.raises(InputError, match="llama model, which does not translate"):
        load_translator(f"seq2seq:{shared / 'models' / 'stories260K-hf'}", language("hye"))

import random

import pytest

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.seq2seq import Seq2SeqTranslator, Target, find_target
from haystack_lrl.synthesis.translator import load_translator

WORDS = ["the", "cat", "sleeps", "on", "a", "mat", "and", "dogs", "do", "not", "like", "it", "much"]
POSITIONS = 64


class Names:
    def __init__(self, *tokens, table=None):
        self.tokens = tokens
        if table:
            self.lang_code_to_id = {name: 100 + place for place, name in enumerate(table)}

    def get_vocab(self):
        return {token: place for place, token in enumerate(self.tokens)}


NLLB = Names("hy", "the", "eng_Latn", "hye_Armn", "kmr_Latn", "bre_Latn")
M2M100 = Names("hy", "the", table=["en", "hy", "zh"])
MBART = Names("the", table=["en_XX", "ka_GE", "sw_KE"])
MADLAD = Names("the", "hy", "<2hy>", "<2kk>", "<2sat>", "<2ceb>")
OPUS = Names("the", "hye", ">>hye<<", ">>uzn_Latn<<", ">>uzb_Cyrl<<", ">>kmr_Latn<<", ">>lvs<<")


@pytest.mark.parametrize(
    ("tokenizer", "code", "target"),
    [
        (NLLB, "hye", Target(token=3, source="eng_Latn")),
        (NLLB, "kur", Target(token=4, source="eng_Latn")),
        (NLLB, "bre", Target(token=5, source="eng_Latn")),  # added by someone's own training
        (M2M100, "hye", Target(token=101, source="en")),
        (MBART, "kat", Target(token=101, source="en_XX")),
        (MBART, "swa", Target(token=102, source="en_XX")),
        (MADLAD, "hye", Target(tag="<2hy> ")),
        (MADLAD, "ceb", Target(tag="<2ceb> ")),
        (OPUS, "hye", Target(tag=">>hye<< ")),
        (OPUS, "uzb", Target(tag=">>uzn_Latn<< ")),
        (OPUS, "kur", Target(tag=">>kmr_Latn<< ")),
        (OPUS, "lav", Target(tag=">>lvs<< ")),
        (Names("the", "hy", "hye_Armn"), "hye", Target()),
    ],
)
def test_the_tokenizer_tells_how_to_ask_for_the_language(tokenizer, code, target):
    assert find_target(tokenizer, language(code), "a model") == target


@pytest.mark.parametrize("tokenizer", [NLLB, M2M100, MBART, MADLAD, OPUS])
def test_a_language_that_the_tokenizer_does_not_name_is_refused(tokenizer):
    with pytest.raises(InputError, match=r"a model does not know Lao \(lao\)"):
        find_target(tokenizer, language("lao"), "a model")


def tiny_model(folder, tokenizer, size):
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=size,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=POSITIONS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
    )
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def nllb(tmp_path_factory):
    """A model with random weights behind NLLB's own tokenizer class."""
    from transformers import NllbTokenizer

    characters = sorted(set("".join(WORDS)) | set(".!▁"))
    vocab = {token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *characters])}
    tokenizer = NllbTokenizer(vocab=vocab, merges=[])
    return tiny_model(tmp_path_factory.mktemp("models") / "nllb", tokenizer, len(tokenizer))


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory):
    """The same behind M2M100's tokenizer class, which needs a sentencepiece model."""
    import json

    import sentencepiece
    from transformers import M2M100Tokenizer

    folder = tmp_path_factory.mktemp("spm")
    lines = [" ".join(random.Random(n).choices(WORDS, k=8)) for n in range(50)]
    with (folder / "spm.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=file, vocab_size=30, minloglevel=2
        )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model"))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *(pieces.id_to_piece(n) for n in range(3, len(pieces)))]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"))
    return tiny_model(tmp_path_factory.mktemp("models") / "m2m100", tokenizer, len(tokenizer) + 200)


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
    tokenizer = translator._tokenizer
    assert {tokenizer.convert_ids_to_tokens(row[0].item()) for row in seen["input_ids"]} == {source}
    assert {tokenizer.convert_ids_to_tokens(row[1].item()) for row in seen["output"]} == {target}
    assert "token_type_ids" not in seen


def test_order_and_grouping_survive_sorting_by_length(nllb, monkeypatch):
    translator = Seq2SeqTranslator(nllb, language("hye"), batch_tokens=100)
    batches = []

    def echo(sentences, longest):
        assert len(sentences) == 1 or len(sentences) * longest <= 100
        batches.append(len(sentences))
        return [sentence.upper() for sentence in sentences]

    monkeypatch.setattr(translator, "_generate", echo)
    rng = random.Random(1)
    texts = [
        (" ".join(rng.choices(WORDS, k=rng.randint(0, 6))), f"{rng.choice(WORDS)}. The cat! dogs") for _ in range(700)
    ]
    expected = [tuple(text.upper() for text in item) for item in texts]
    assert list(translator.translate(iter(texts))) == expected
    assert max(batches) > 5


def test_each_sentence_goes_alone_and_long_ones_in_parts_that_fit(nllb, monkeypatch):
    translator = Seq2SeqTranslator(nllb, language("hye"))
    sent = []
    monkeypatch.setattr(translator, "_generate", lambda sentences, longest: sent.extend(sentences) or sentences)
    text = f"The cat sleeps. {' '.join(WORDS * 10).capitalize()}.\n\nDogs do not."
    result, unbroken = next(translator.translate([(text, "x" * 200)]))
    assert result == " ".join(text.split())
    assert unbroken.replace(" ", "") == "x" * 200
    assert {"The cat sleeps.", "Dogs do not."} <= set(sent)
    assert all(translator._length(sentence) <= POSITIONS // 2 for sentence in sent)


def test_empty_texts_stay_empty(nllb):
    translator = Seq2SeqTranslator(nllb, language("hye"))
    assert list(translator.translate([("", " \n ")])) == [("", "")]
    assert list(translator.translate([])) == []


def test_identity_follows_weights_language_and_options(nllb, tmp_path):
    import shutil

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

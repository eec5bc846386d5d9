import pytest

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.targets import Target, find_target


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

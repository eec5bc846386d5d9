import re

import pytest

from haystack_lrl.languages.scripts import script_share
from haystack_lrl.languages.table import LANGUAGES, language
from haystack_lrl.records.errors import InputError


@pytest.mark.parametrize("code", ["hye", "hy"])
def test_two_and_three_letter_codes_are_one_language(code):
    assert (language(code).code, language(code).name, language(code).nllb) == ("hye", "Armenian", "hye_Armn")


@pytest.mark.parametrize(("code", "expected"), [("swh", "swa"), ("npi", "nep"), ("pes", "fas"), ("kmr", "kur")])
def test_codes_of_flores_corpora_are_accepted(code, expected):
    assert language(code).code == expected


@pytest.mark.parametrize(
    ("code", "near"), [("armenian", "hye (Armenian)"), ("epp", "epo (Esperanto)"), ("Hye", "hye (")]
)
def test_unknown_code_names_the_value_and_what_is_near(code, near):
    with pytest.raises(InputError, match=re.escape(repr(code))) as raised:
        language(code)
    assert near in str(raised.value)


def test_unknown_code_without_neighbours_still_names_the_remedy():
    with pytest.raises(InputError, match=r"'12345' is unknown; give an ISO 639-3 code"):
        language("12345")


def test_each_code_means_one_language():
    codes = [code for row in LANGUAGES for code in {row.code, row.short, row.nllb[:3]} if code]
    assert len(codes) == len(set(codes))
    assert [row.code for row in LANGUAGES] == sorted(row.code for row in LANGUAGES)


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.code)
def test_codes_are_well_formed_and_own_name_is_in_own_script(row):
    assert re.fullmatch("[a-z]{3}", row.code)
    assert re.fullmatch("([a-z]{2})?", row.short)
    assert re.fullmatch("([a-z]{3}_[A-Z][a-z]{3})?", row.nllb)
    assert script_share(row.own_name, row) == 1


@pytest.mark.parametrize(
    ("code", "text", "share"),
    [
        ("hye", "Երևանը Հայաստանի մայրաքաղաքն է։", 1.0),
        ("hye", "Yerevan is the capital.", 0.0),
        ("amh", "ሰላም abcd", 3 / 7),
        ("srp", "Београд je", 1.0),
        ("uzb", "oʻzbek", 1.0),
        ("jpn", "ラーメン", 1.0),
        ("hin", "१२ - 34!", 1.0),
    ],
)
def test_script_share_counts_letters(code, text, share):
    assert script_share(text, language(code)) == share

import subprocess
import sys

import pytest
from bridges import BRIDGES

from haystack_lrl.languages.identify import identify, is_short, known_codes, knows, other_language
from haystack_lrl.languages.table import LANGUAGES, language

STRANGERS = {"bho", "wol", "tpi", "smo"}
NEIGHBOURS = {"hrv", "bos", "srp", "ind", "msa", "kin", "run", "nob", "nno"}


@pytest.mark.parametrize("code", sorted(BRIDGES.keys() - STRANGERS - NEIGHBOURS))
def test_a_sentence_is_recognised(code):
    assert identify(BRIDGES[code])[0][0] == code


@pytest.mark.parametrize("code", ["epo", "ara"])  # Arabic has three labels
def test_every_known_language_has_a_confidence_and_they_sum_to_one(code):
    found = identify(BRIDGES[code])
    assert {code for code, _ in found} == known_codes()
    assert len(found) == len(known_codes())
    assert sum(confidence for _, confidence in found) == pytest.approx(1, abs=1e-3)
    assert [confidence for _, confidence in found] == sorted((c for _, c in found), reverse=True)


def test_only_languages_of_the_table_are_known():
    assert known_codes() < {row.code for row in LANGUAGES}
    assert len(known_codes()) == 118


MACROLANGUAGES = (
    *("aze", "swa", "msa", "ori", "nep", "est", "lav", "fas", "uzb", "mlg"),
    *("sqi", "kur", "ckb", "ara", "grn", "ful", "nob", "orm", "mon"),
)


@pytest.mark.parametrize("code", MACROLANGUAGES)
def test_macrolanguages_and_varieties_have_a_label(code):
    assert knows(language(code))
    assert code in known_codes()


@pytest.mark.parametrize("code", ["prs", "run"])
def test_a_language_written_like_a_known_one_is_known(code):
    assert code not in known_codes()
    assert knows(language(code))


@pytest.mark.parametrize("code", sorted(STRANGERS | {"yid", "tir", "bod", "tsn", "lim"}))
def test_what_the_identifier_lacks_is_not_known(code):
    assert not knows(language(code))


@pytest.mark.parametrize("code", sorted(BRIDGES))
def test_a_sentence_may_be_in_its_own_language(code):
    assert other_language(BRIDGES[code], language(code), 5) is None


@pytest.mark.parametrize("code", sorted(BRIDGES.keys() - {"eng"}))
def test_english_is_no_other_language(code):
    assert other_language(BRIDGES["eng"], language(code), 5) == "eng"


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("hau", "swa"), ("swa", "yor"), ("epo", "por"), ("glg", "por"), ("isl", "nob"), ("hin", "mar"), ("mkd", "hrv")],
)
def test_another_language_is_found_out(wanted, given):
    assert other_language(BRIDGES[given], language(wanted), 5) == given


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("hrv", "srp"), ("srp", "bos"), ("ind", "msa"), ("run", "kin"), ("nno", "nob"), ("prs", "fas")],
)
def test_what_is_written_alike_passes_for_each_other(wanted, given):
    assert other_language(BRIDGES[given], language(wanted), 5) is None


def test_the_odds_decide_between_neighbours():
    scores = dict(identify(BRIDGES["xho"]))
    ratio = scores["xho"] / scores["zul"]
    assert 1 < ratio < 5
    assert other_language(BRIDGES["xho"], language("zul"), ratio * 1.01) is None
    assert other_language(BRIDGES["xho"], language("zul"), ratio * 0.99) == "xho"


@pytest.mark.parametrize("given", ["swa", "fas", "ckb"])
def test_a_language_without_an_identifier_is_only_told_from_english(given):
    assert other_language(BRIDGES[given], language("wol"), 5) is None


@pytest.mark.parametrize(
    ("code", "text", "short"),
    [
        ("epo", "Malnova ponto", True),
        ("epo", "Ĉu vi do?", True),  # too few letters
        ("epo", "Konstruistoj rekonstruis bazarhalon", True),  # three words
        ("epo", "La malnova ponto estas longa", False),
        ("khm", "ស្ពានចាស់", True),
        ("khm", "ស្ពានចាស់ឆ្លងទន្លេត្រូវបានសាងសង់", False),  # one run of words
    ],
)
def test_short_texts(code, text, short):
    assert is_short(text, language(code)) is short


def test_a_short_text_is_only_told_from_english():
    assert other_language("Ponte sobre rio", language("hau"), 5) is None
    assert identify("Ponte sobre rio")[0][0] == "por"
    assert other_language("Building the bridge", language("hau"), 5) == "eng"


@pytest.mark.parametrize("name", ["Kilimanjaro", "Chinua Achebe", "Lagos, Abuja", "Black Friday", "Manchester United"])
def test_names_are_not_english(name):
    assert other_language(name, language("hau"), 5) is None


@pytest.mark.parametrize("text", ["", "12 345 678 901 234 567 890", "21.11.2026, 12:30", "…"])
@pytest.mark.parametrize("code", ["hye", "khm"])
def test_what_has_no_letters_is_of_every_language(code, text):
    assert other_language(text, language(code), 5) is None


def test_capitals_and_broken_text_do_no_harm():
    assert identify(BRIDGES["hau"].upper())[0][0] == "hau"
    assert identify("\ud800 \x00 " + BRIDGES["hau"])[0][0] == "hau"


def test_the_model_is_loaded_when_it_is_asked_and_needs_no_network():
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise OSError('no network')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "from haystack_lrl.languages.identify import identify\n"
        "print('py3langid' in sys.modules, 'numpy' in sys.modules)\n"
        "print(identify('The bridge is old')[0][0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "eng"]

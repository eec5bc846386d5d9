import gzip
import json
from dataclasses import replace

import pydantic
import pytest
from bridges import BRIDGES

from haystack_lrl.languages.gate import GateSettings, LanguageGate, check_question
from haystack_lrl.languages.table import language

PASSAGE = (
    "The old bridge over the river was built by farmers in 1874. They needed a short way to the market, "
    "and the nearest ford was a day's walk away."
)


def check(code, text, source="", **settings):
    return LanguageGate(language(code), GateSettings(**settings)).check(text, source=source)


@pytest.mark.parametrize("code", sorted(BRIDGES))
def test_a_sentence_in_its_language_passes(code):
    assert check(code, BRIDGES[code], source=BRIDGES["epo" if code == "eng" else "eng"]) is None


@pytest.mark.parametrize("code", sorted(BRIDGES.keys() - {"eng"}))
def test_english_never_passes(code):
    latin = "Latin" in language(code).scripts
    assert check(code, BRIDGES["eng"]) == ("wrong language" if latin else "wrong script")


@pytest.mark.parametrize("text", ["", " \n\t", "...", "—", "!?"])
def test_a_text_without_words_is_empty(text):
    assert check("hye", text) == "empty"
    assert check("eng", text) == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "Sure, here is the translation you asked for.",
        "Certainly! I'll translate this.",
        "Here is the translation:",
        "Here’s a question about the passage in Hausa:",
        "The translated text is as follows:",
        "I'm sorry, but I cannot help with this.",
        "Sorry, I can't do this.",
        "I cannot translate this text.",
        "I apologize for the confusion.",
        "Unfortunately, I do not know Hausa.",
        "As an AI language model, I have no opinion.",
        "I am a large language model.",
        "Question: ",
        "**Question 1:** ",
        "### Translation:\n",
        "Q: ",
        '"Answer": ',
        "```\n",
        "<think>",
    ],
)
@pytest.mark.parametrize("code", ["hau", "eng"])
def test_what_assistants_write_before_a_text_is_rejected(code, text):
    assert check(code, f"{text} {BRIDGES[code]}") == "refusal or preamble"


@pytest.mark.parametrize(
    "text",
    [
        "Here are five ways to keep tomatoes dry in a wet summer.",
        "I cannot remember a colder winter in the valley.",
        "Of course, the bridge was never finished.",
        "The answer is simple: farmers built it.",
        "The question is whether the bridge will hold.",
        "As an assistant professor, she taught bridge building.",
        "Translation is slower than writing.",
        "English: the language of a small island that spread.",
    ],
)
def test_people_begin_like_that_too(text):
    assert check("eng", text) is None


def test_the_name_of_the_language_is_a_label_where_it_is_no_word_of_it():
    assert check("hye", f"Armenian: {BRIDGES['hye']}") == "refusal or preamble"
    assert check("hau", f"Hausa translation: {BRIDGES['hau']}") == "refusal or preamble"
    assert check("epo", "Esperanto: de idealismo al realismo") is None


@pytest.mark.parametrize("code", ["hau", "epo", "eng"])
def test_a_copy_of_the_source_is_rejected(code):
    assert check(code, BRIDGES["swa"], source=BRIDGES["swa"]) == "copied source"
    assert check(code, BRIDGES[code], source=BRIDGES["swa"]) is None


def test_a_name_may_be_the_same_in_both_languages():
    assert check("hau", "Chinua Achebe", source="Chinua Achebe") is None


@pytest.mark.parametrize("code", ["epo", "kat", "tel", "amh", "khm"])
def test_a_text_that_repeats_itself_is_rejected(code):
    half = len(BRIDGES[code]) // 2
    assert check(code, BRIDGES[code] + BRIDGES[code][half:] * 20) == "repetition"
    assert check(code, BRIDGES[code] + BRIDGES[code][half:] * 20, compression=0.0) is None


@pytest.mark.parametrize(("code", "given"), [("hye", "kat"), ("kat", "mkd"), ("hau", "ckb"), ("tel", "hin")])
def test_another_script_is_rejected(code, given):
    assert check(code, BRIDGES[given]) == "wrong script"


@pytest.mark.parametrize("text", ["OpenStreetMap", "THE OLD BRIDGE", "The Old Bridge Over The River"])
def test_a_text_without_a_letter_of_the_script_is_rejected(text):
    assert check("hye", text) == "wrong script"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("hye", "«Dundee Stars»-ը երեկ հաղթեց «Belfast Giants»-ին"),
        ("amh", "በ OpenStreetMap እና Wikidata ላይ"),
        ("khm", "លោក Alasdair Lamont មកពី BBC"),
        ("hau", "Kamfanin Microsoft ya sayi GitHub a shekarar 2018 da kuɗi mai yawa."),
    ],
)
def test_names_may_stay_in_english(code, text):
    assert check(code, text) is None


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("hau", "swa"), ("swa", "hau"), ("epo", "por"), ("isl", "nob"), ("eng", "isl"), ("fas", "ckb")],
)
def test_another_language_in_the_same_script_is_rejected(wanted, given):
    assert check(wanted, BRIDGES[given]) == "wrong language"


@pytest.mark.parametrize(("wanted", "given"), [("hrv", "srp"), ("msa", "ind"), ("kin", "run"), ("zul", "xho")])
def test_a_sibling_passes(wanted, given):
    assert check(wanted, BRIDGES[given]) is None


def test_lower_odds_tell_siblings_apart():
    assert check("zul", BRIDGES["xho"], odds=1) == "wrong language"


@pytest.mark.parametrize("code", ["hau", "swa", "epo", "isl", "wol", "smo"])
def test_english_sentences_among_ones_own_are_mixed_languages(code):
    english = " The engineers of the capital had warned them that it would not last for a single winter. It has lasted."
    own = " ".join([BRIDGES[code]] * 3)
    assert check(code, own + english) == "mixed languages"
    assert check(code, own + english, code_switching=0.5) is None
    assert check(code, own + " It has lasted.") is None


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("hye", "Այս տարվա government policy-ն դեռ մեծ փոփոխություններ է պահանջում մեզնից։"),
        ("amh", "የከተማው ሠራተኞች ዛሬ ጠዋት ስለ አዲሱ የገበያ policy ከገበሬዎች ጋር በሰፊው ተነጋገሩ፤ reform ይፈልጋሉ።"),
    ],
)
def test_foreign_words_that_are_no_names_are_mixed_languages(code, text):
    assert check(code, text) == "mixed languages"
    assert check(code, f"{text} {text}") == "mixed languages"
    assert check(code, text, code_switching=1.0) is None


def test_a_text_mostly_of_foreign_words_is_of_the_wrong_script():
    text = "The farmers who built the old bridge կամուրջ"
    assert check("hye", text) == "wrong script"
    assert check("hye", text, script_share=0.1) == "wrong language"


def test_a_gate_keeps_its_language_and_settings():
    settings = replace(GateSettings(), odds=3)
    gate = LanguageGate(language("hau"), settings)
    assert (gate.language.code, gate.settings) == ("hau", settings)
    assert LanguageGate(language("hau")).settings == GateSettings()


@pytest.mark.parametrize(
    ("name", "value"), [("odds", 0.9), ("script_share", 1.1), ("code_switching", -0.1), ("compression", 2)]
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"gate\.{name} is {value}, but must be"):
        GateSettings(**{name: value})


def test_settings_are_read_from_a_recipe():
    adapter = pydantic.TypeAdapter(GateSettings)
    assert adapter.validate_python({"odds": 3, "compression": 0.1}) == GateSettings(odds=3, compression=0.1)
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python({"odds": "many"})


@pytest.mark.parametrize(
    "question",
    [
        "Who built the old bridge?",
        "When did farmers build the bridge over the river?",
        "According to the passage, who built the bridge?",
        "Kial la kamparanoj konstruis ponton?",
        "Wa ya gina gadar?",
        "Ո՞վ կառուցեց կամուրջը",
        "橋を建てたのは誰ですか",
        "តើអ្នកណាសាងសង់ស្ពានចាស់",
    ],
)
def test_a_question_passes(question):
    assert check_question(question, PASSAGE) is None


@pytest.mark.parametrize(
    "question",
    [
        "What does the text say?",
        "According to the passage, what is mentioned?",
        "What is the main idea of this article?",
        "What is it?",
        "Who wrote this article?",
        "Kial?",
        "Menene wannan?",
        "Ինչո՞ւ այդպես",
        "誰?",
        "ហេតុអ្វី?",
        "",
    ],
)
def test_a_question_without_content_is_rejected(question):
    assert check_question(question, PASSAGE) == "question without content"


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("the old bridge over the river was built by farmers?", PASSAGE),
        ("They needed a short way to the market", PASSAGE),
        ("So they needed a short way to the market, and the nearest ford was a day's walk", PASSAGE),
        (f"Is it true? {PASSAGE}", PASSAGE),
        ("ស្ពានចាស់ឆ្លងទន្លេត្រូវបានសាងសង់", BRIDGES["khm"]),
        (BRIDGES["amh"], BRIDGES["amh"]),
    ],
)
@pytest.mark.parametrize("style", ["question", "keyword", "claim"])
def test_a_question_that_copies_the_passage_is_rejected(question, passage, style):
    assert check_question(question, passage, style=style) == "copied passage"


@pytest.mark.parametrize("style", ["keyword", "title"])
@pytest.mark.parametrize("query", ["bridge", "old bridge", "short way market", "the old bridge"])
def test_a_query_of_few_words_may_stand_in_the_passage(query, style):
    assert check_question(query, PASSAGE, style=style) is None


def test_a_question_of_few_words_may_not():
    assert check_question("built by farmers in 1874", PASSAGE) == "copied passage"
    assert check_question("bridge", PASSAGE) == "question without content"
    assert check_question("the passage", PASSAGE, style="keyword") == "question without content"


@pytest.mark.integration
@pytest.mark.parametrize("code", ["hye", "kat", "amh", "swa", "yor", "hau", "isl", "mkd", "eus", "tel", "khm"])
def test_peoples_sentences_pass_and_english_ones_do_not(shared, code):
    with gzip.open(shared / "data" / "parallel" / "ntrex.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][::2]
    gate = LanguageGate(language(code))
    rejected = [row["id"] for row in rows if gate.check(row[code])]
    caught = [row["id"] for row in rows if gate.check(row["eng"])]
    assert len(rows) > 900
    assert len(rejected) < 0.02 * len(rows)
    assert len(caught) > 0.98 * len(rows)

"""Passages: sentence ends of every script, budgets of every kind of tokenizer, nothing lost."""

import itertools
import random
import time
import unicodedata

import pytest
from tiny_tokenizers import KINDS, build_model, english_texts

from haystack_lrl.encoding.counting import TokenCounter
from haystack_lrl.languages.passages import part_text, passage_spans
from haystack_lrl.languages.sentences import sentence_spans, split_sentences
from haystack_lrl.languages.table import LANGUAGES, language
from haystack_lrl.records.errors import InputError

# a sentence of two words in each script of the table, with the mark that ends it
SENTENCES = {
    "Arabic": "یہ کتاب۔",
    "Armenian": "Նա եկավ։",
    "Bengali": "সে এলো।",
    "Cyrillic": "Ол келді.",
    "Devanagari": "वह गया।",
    "Ethiopic": "እሱ መጣ።",
    "Georgian": "ის მოვიდა.",
    "Greek": "Αυτός ήρθε.",
    "Gujarati": "તે આવ્યો.",
    "Gurmukhi": "ਉਹ ਆਇਆ।",
    "Han": "他来了。",
    "Hangul": "그가 왔다.",
    "Hebrew": "הוא הלך.",
    "Hiragana": "かれがきた。",
    "Kannada": "ಅವನು ಬಂದನು.",
    "Katakana": "カレガキタ。",
    "Khmer": "គាត់ មក។",
    "Lao": "ລາວ ມາ!",
    "Latin": "Li venis.",
    "Malayalam": "അവൻ വന്നു.",
    "Meetei_Mayek": "ꯃꯍꯥꯛ ꯂꯥꯛꯏ꯫",
    "Mongolian": "ᠲᠡᠷᠡ ᠢᠷᠡᠪᠡ᠃",
    "Myanmar": "သူ လာသည်။",
    "Ol_Chiki": "ᱩᱱᱤ ᱦᱮᱡ᱾",
    "Oriya": "ସେ ଆସିଲା।",
    "Sinhala": "ඔහු ආවේය.",
    "Tamil": "அவன் வந்தான்.",
    "Telugu": "అతను వచ్చాడు.",
    "Thaana": "އޭނާ އައި.",
    "Thai": "เขา มา๛",
    "Tibetan": "ཁོ་ ཡོང་།",
    "Tifinagh": "ⵏⵜⵜⴰ ⵢⵓⵙⴰ.",
}
HARD = {
    "eng": ["Prof. J. R. R. Tolkien paid 1.000 (i.e. 3.14 a day).", 'He said "Stop."', "Then... he left!?", "[Gone.]"],
    "deu": ["Am 15. Mai kam Prof. Dr. Müller.", "„Gut.“", "Er ging."],
    "hye": ["Ինչո՞ւ եկար, ի՜նչ լավ է, նա՝ եկավ։", "Պրոֆ. Ա. Ս. Հովհաննիսյանը՝ 3.14։", "«Այո՛։»", "Հետո գնաց։"],
    "amh": ["ዶ/ር አበበ 1,000.50 ብር ከፈለ።", "ምን ሆነ፧", "ሄደ፨", "«መጣ።»", "በ2010 ዓ.ም. ተወለደ።"],
    "hin": ["श्री ए. शर्मा आए।", "वह गए॥", '"हाँ।"', "मूल्य 3.14 है।"],
    "kat": ["პროფ. ი. ბერიძე მოვიდა.", "მერე წავიდა."],
    "rus": ["Проф. А. С. Пушкин пришёл.", "Да."],
    "tha": ["ดร. สมชาย ราคา 3.14 บาท"],
    "khm": ["លោក ស. ធារ៉ា មក។", "គាត់ទៅ៚", "១.០០០ រៀល។"],
    "sin": ["ඔහු ආවේය෴", "ඔහු ගියේය."],
    "kor": ["네.", "갑니다."],
}
UNSPACED = "ភាសាខ្មែរជាភាសាផ្លូវការរបស់ព្រះរាជាណាចក្រកម្ពុជា" * 20
TEXTS = [
    " ".join([*SENTENCES.values(), *itertools.chain(*HARD.values())] * 2),
    "\n\n".join(english_texts()[:12]),
    "\n".join(f"{number})\t- item\u00a0{number}" for number in range(90)),
    UNSPACED,
    "no end, no stop " * 60,
    "a" * 300 + " 你好" * 80 + "🙂" * 90,
    "e" + "\u0301" * 400 + " short.",
    "",
    " \n\f ",
    "!?... .",
]


def words(texts):
    """Count words: a tokenizer that anyone can follow."""
    return [len(text.split()) for text in texts]


def passages(text, code="eng", budget=8, overlap=0):
    (spans,) = passage_spans([text], language(code), words, budget, overlap=overlap)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.code)
def test_every_script_of_the_table_has_its_sentence_ends(row):
    for script in row.scripts:
        sentence = SENTENCES[script]
        assert split_sentences(f"{sentence} {sentence} {sentence}", row) == [sentence] * 3


@pytest.mark.parametrize("code", HARD)
def test_stops_inside_sentences_are_not_ends(code):
    assert split_sentences(" ".join(HARD[code]), language(code)) == HARD[code]


@pytest.mark.parametrize("text", TEXTS)
def test_spans_are_those_of_the_sentences_and_only_white_space_is_between(text):
    spans = list(sentence_spans(text, language("eng")))
    assert [text[start:end] for start, end in spans] == split_sentences(text, language("eng"))
    assert_covered(text, spans)


def assert_covered(text, spans):
    """Every character but white space is in some span, and spans begin and end in order."""
    inside = [False] * len(text)
    for start, end in spans:
        assert start < end
        assert text[start:end] == text[start:end].strip()
        inside[start:end] = [True] * (end - start)
    assert all(here or character.isspace() for here, character in zip(inside, text, strict=True))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(spans))


@pytest.fixture(scope="module", params=KINDS)
def counter(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    model = build_model(request.param, folder, [*english_texts(), *SENTENCES.values()], pieces=900)
    return TokenCounter.from_path(str(model))


@pytest.mark.parametrize("overlap", [0, 2])
def test_no_tokenizer_sees_a_passage_longer_than_its_model(counter, overlap):
    budget = counter.budget_of()
    assert budget < 64
    found = list(passage_spans(TEXTS, language("khm"), counter, budget, overlap=overlap))
    for text, spans in zip(TEXTS, found, strict=True):
        assert_covered(text, spans)
        cut = [text[start:end] for start, end in spans]
        if text != TEXTS[6]:  # whose one letter has 400 marks
            assert max(counter(cut), default=0) <= budget
        read = counter.tokenizer([counter.prompt + passage for passage in cut])["input_ids"] if cut else []
        assert max(map(len, read), default=0) <= counter.max_length
    assert not found[-3]
    assert sum(map(len, found)) > 40


def test_passages_are_as_full_as_sentences_allow():
    rng = random.Random(1)
    sentences = [" ".join(["word"] * rng.randint(1, 6)) + "." for _ in range(200)]
    found = passages(" ".join(s.capitalize() for s in sentences), budget=20)
    for one, following in itertools.pairwise(found):
        first = split_sentences(following, language("eng"))[0]
        assert words([one])[0] + words([first])[0] > 20


def test_neighbours_share_sentences():
    sentences = ["One is red.", "Two is blue.", "Three is green.", "Four is pink.", "Five is grey."]
    text = " ".join(sentences)

    def joined(*ranges):
        return [" ".join(sentences[first:end]) for first, end in ranges]

    assert passages(text, budget=9) == joined((0, 3), (3, 5))
    assert passages(text, budget=9, overlap=1) == joined((0, 3), (2, 5))
    assert passages(text, budget=9, overlap=2) == joined((0, 3), (1, 4), (2, 5))
    assert passages(text, budget=5, overlap=2) == sentences  # no room for anything old
    assert passages(text, budget=100, overlap=4) == [text]


def test_a_long_sentence_is_parted_at_commas_then_words_then_letters():
    assert passages("It cost 1,000 or so, as they say: more than we have, alas", budget=6) == [
        "It cost 1,000 or so,",
        "as they say:",
        "more than we have, alas",
    ]
    assert passages("one two three four five six seven", budget=3) == ["one two three", "four five six", "seven"]
    assert passages("ሀ ለ ሐ፣ መ ሠ ረ፣ ሰ ሸ ቀ", "amh", budget=3) == ["ሀ ለ ሐ፣", "መ ሠ ረ፣", "ሰ ሸ ቀ"]
    assert passages("Նա՝ եկավ և գնաց՝ տուն", "hye", budget=3) == ["Նա՝", "եկավ և գնաց՝", "տուն"]


def test_a_text_is_parted_by_characters_into_whole_sentences():
    text = "Unu du tri.\n\nKvar kvin.  Ses sep ok naŭ."
    assert part_text(text, language("epo"), len(text)) == [text]
    assert part_text(text, language("epo"), 23) == ["Unu du tri. Kvar kvin.", "Ses sep ok naŭ."]
    assert part_text(text, language("epo"), 22) == ["Unu du tri.", "Kvar kvin.", "Ses sep ok naŭ."]
    assert part_text(" " * 30, language("epo"), 22) == []


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("most", [40, 200])
def test_parts_of_a_text_are_short_enough_and_nothing_is_lost(text, most):
    parts = part_text(text, language("eng"), most)
    assert max(map(len, parts)) <= most
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_letters_keep_their_marks():
    spans = next(passage_spans([UNSPACED], language("khm"), lambda texts: [len(text) for text in texts], 30))
    assert_covered(UNSPACED, spans)
    assert len(spans) > len(UNSPACED) / 30
    for start, end in spans:
        assert end - start <= 30
        assert not unicodedata.category(UNSPACED[start]).startswith("M")


def test_tokens_between_sentences_are_paid_for():
    """A tokenizer that counts every new line makes the whole longer than its parts."""
    text = "\n\n\n\n".join(["a b c"] * 30)
    (spans,) = passage_spans([text], language("eng"), lambda texts: [t.count("\n") + len(t.split()) for t in texts], 20)
    assert_covered(text, spans)
    assert max(text[a:b].count("\n") + len(text[a:b].split()) for a, b in spans) <= 20
    assert len(spans) == 10  # three sentences in each


def test_texts_stream_and_are_counted_in_batches():
    calls = []

    def counts(texts):
        calls.append(len(texts))
        return words(texts)

    lazy = passage_spans((f"One. Two {number}." for number in itertools.count()), language("eng"), counts, 9)
    assert len(list(itertools.islice(lazy, 600))) == 600
    assert len(calls) < 12
    assert max(calls) <= 1024


def test_what_the_model_reads(tmp_path, tiny_model, tiny_model_with_prompts):
    plain, prompted = (TokenCounter.from_path(str(model)) for model in (tiny_model, tiny_model_with_prompts))
    assert plain.budget_of() == 62
    assert prompted.budget_of() == 62 - prompted(["passage: "])[0] < 62
    assert plain.budget_of(20) == 20
    assert plain([]) == []
    with pytest.raises(InputError, match="at most 62"):
        plain.budget_of(63)
    with pytest.raises(InputError, match="leave 2 for text"):
        TokenCounter(plain.tokenizer, 4).budget_of()
    with pytest.raises(InputError, match="check the path"):
        TokenCounter.from_path(str(tmp_path / "none"))


def test_counts_are_those_of_the_encoder(tiny, tiny_model):
    from haystack_lrl.encoding.encoder import SentenceEncoder

    encoder = SentenceEncoder(tiny)
    counter = TokenCounter.from_path(str(tiny_model))
    assert counter(TEXTS) == encoder.token_counts(TEXTS)
    assert counter.budget_of() == encoder.passage_budget


def test_tens_of_thousands_of_sentences_a_second():
    text = "Նա եկավ երեկ, և մենք գնացինք տուն։ Ինչո՞ւ եկար այդքան շուտ։ Հետո նա գնաց քաղաք։ " * 200
    texts = [text] * 20
    language_of = language("hye")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        found = list(passage_spans(texts, language_of, lambda parts: [20] * len(parts), 250))
        seconds.append(time.perf_counter() - start)
    assert len(found) == 20
    assert 20 * 600 / min(seconds) > 10_000

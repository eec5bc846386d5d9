import pytest

from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import language

CASES = {
    "hye": ["Նա եկավ։", "Ժամը 10։30 է, այսպես: մեկ, երկու:", "Ինչո՞ւ եկար։", "2010 թ. Հայաստանում։"],
    "amh": ["ሰላም ለዓለም።", "ደህና ነህ?", "በ2010 ዓ.ም. ተወለደ፡፡", "መጣ::", "ምን ሆነ፧", "ሄደ።"],
    "hin": ["डॉ. सिंह आए।", "वह गए॥", "क्या?", "मूल्य १.५ है.", "फिर ए.पी.जे. अब्दुल आए।"],
    "guj": ["આ ઘર છે.", "તે સારું છે."],
    "urd": ["یہ کتاب ہے۔", "کیا آپ آئیں گے؟", "جی ہاں۔"],
    "mya": ["ကျွန်တော် သွားသည်။", "သူ၊ လာသည်။"],
    "khm": ["ខ្ញុំទៅផ្សារ ។ល។", "គាត់មក។", "តើអ្នកទៅណា?", "ទៅ៕"],
    "bod": ["བོད་སྐད། །", "ཡིག་ཆ།"],
    "kat": ["ის მოვიდა.", "მერე წავიდა.", "2010 წ. იყო."],
    "ell": ["Τι κάνεις;", "Καλά."],
    "epo": [
        "D-ro Zamenhof k.t.p. venis la 19. Decembro.",
        "Li diris: «Bonan tagon!»",
        "Poste li iris al mi.",
        "Ĉu 3.14 sufiĉas?",
        "Jes… eble.",
    ],
    "eng": [
        "Dr. Smith met J. K. Rowling at 3.14 p.m. on Monday, see p. 5 and No. 7 there.",
        '"Really?" he asked.',
        '"Yes!"',
        "The BBC.",
        "It was 2015.",
        "(It rained.)",
        "Then it ended... :)",
    ],
    "deu": ["Am 19. Januar kam er.", "„Ja.“", "Dann ging er."],
}


@pytest.mark.parametrize("code", CASES)
def test_sentences_come_apart_where_they_end(code):
    assert split_sentences(" ".join(CASES[code]), language(code)) == CASES[code]


def test_marks_without_a_space_after_them():
    assert split_sentences("ကောင်းတယ်။သူလာသည်။", language("mya")) == ["ကောင်းတယ်။", "သူလာသည်။"]
    assert split_sentences("你好。“他说：好。”我走了！", language("zho")) == ["你好。", "“他说：好。”", "我走了！"]


def test_new_lines_end_sentences_and_blank_text_has_none():
    assert split_sentences("Titolo\n\n  Unua frazo\r\nkaj dua ", language("epo")) == ["Titolo", "Unua frazo", "kaj dua"]
    assert split_sentences(" \n ", language("epo")) == []
    assert split_sentences("...", language("epo")) == ["..."]


def test_colon_ends_armenian_sentences_only():
    assert split_sentences("Նա եկավ: Հետո գնաց:", language("hye")) == ["Նա եկավ:", "Հետո գնաց:"]
    assert split_sentences("Jen: Zamenhof", language("epo")) == ["Jen: Zamenhof"]


@pytest.mark.parametrize("code", CASES)
def test_no_character_is_lost(code):
    text = " .  (" + "\t\n".join("  ".join(sentences) + "!?) . " for sentences in CASES.values()) + "«. "
    assert "".join("".join(split_sentences(text, language(code))).split()) == "".join(text.split())

import random

from haystack_lrl.synthesis.sentencewise import Sentencewise, most_new_tokens

WORDS = ["the", "cat", "sleeps", "on", "a", "mat", "and", "dogs", "do", "not", "like", "it", "much"]
POSITIONS = 64


class Echo:
    """A model of characters that shouts."""

    def __init__(self, batch_tokens):
        self.batches = []
        self.translator = Sentencewise(self.encode, self.generate, POSITIONS, batch_tokens)

    def encode(self, sentences):
        return [[ord(character) for character in sentence] for sentence in sentences]

    def generate(self, batches):
        for batch in batches:
            sentences = ["".join(map(chr, tokens)) for tokens in batch]
            self.batches.append(sentences)
            yield [sentence.upper() for sentence in sentences]


def test_order_and_grouping_survive_sorting_by_length():
    model = Echo(batch_tokens=100)
    rng = random.Random(1)
    texts = [
        (" ".join(rng.choices(WORDS, k=rng.randint(0, 6))), f"{rng.choice(WORDS)}. The cat! dogs") for _ in range(700)
    ]
    expected = [tuple(text.upper() for text in item) for item in texts]
    assert list(model.translator.translate(iter(texts))) == expected
    for batch in model.batches:
        assert batch == sorted(batch, key=len, reverse=True)
        assert len(batch) == 1 or len(batch) * len(batch[0]) <= 100
    assert max(map(len, model.batches)) > 5


def test_each_sentence_goes_alone_and_long_ones_in_parts_that_fit():
    model = Echo(batch_tokens=4096)
    text = f"The cat sleeps. {' '.join(WORDS * 10).capitalize()}.\n\nDogs do not."
    result, unbroken = next(model.translator.translate([(text, "x" * 200)]))
    assert result == " ".join(text.upper().split())
    assert unbroken.replace(" ", "") == "X" * 200
    sent = [sentence for batch in model.batches for sentence in batch]
    assert {"The cat sleeps.", "Dogs do not."} <= set(sent)
    assert all(len(sentence) <= POSITIONS // 2 for sentence in sent)


def test_empty_texts_reach_no_model():
    model = Echo(batch_tokens=100)
    assert list(model.translator.translate([("", " \n ")])) == [("", "")]
    assert list(model.translator.translate([])) == []
    assert model.batches == []


def test_sentences_without_a_token_are_no_harm():
    translator = Sentencewise(lambda sentences: [[] for _ in sentences], lambda batches: (["-"] for _ in batches), 9, 1)
    assert list(translator.translate([("?",), ("!",)])) == [("-",), ("-",)]


def test_a_translation_has_twice_the_room_of_its_sentence_up_to_the_model():
    assert most_new_tokens(10, POSITIONS) == 36
    assert most_new_tokens(32, POSITIONS) == 63

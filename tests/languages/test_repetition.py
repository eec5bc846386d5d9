import pytest
from bridges import BRIDGES

from haystack_lrl.languages.repetition import compression

SENTENCES = list(BRIDGES.values())


@pytest.mark.parametrize("code", ["eng", "kat", "tel", "khm", "amh"])
def test_a_loop_is_far_below_a_text_in_every_script(code):
    assert compression(BRIDGES[code] * 20) < 0.1


def test_three_byte_letters_are_no_repetition():
    georgian = (
        "ძველი ხიდი მდინარეზე გლეხებმა ააშენეს, რომლებსაც ბაზრამდე მოკლე გზა სჭირდებოდათ. "
        "ზამთარში წყალი ადიდდა და ორი ბოძი წაიღო, მაგრამ გაზაფხულზე სოფელმა ისინი თავიდან ჩადგა. "
        "დღეს ხიდზე მანქანები აღარ დადიან, თუმცა მეთევზეები საღამოობით იქ სხედან."
    )
    assert compression(georgian) > 0.4


def test_a_letter_weighs_the_same_in_every_script():
    latin = "farmers built the bridge over the river in a single summer, and nobody paid them for it. " * 3
    shifted = "".join(chr(ord(letter) + 0x1000) for letter in latin)
    assert compression(latin) == pytest.approx(compression(shifted), abs=0.02)


def test_short_texts_have_no_room_to_repeat_themselves():
    assert compression("la " * 66) == 1.0
    assert compression("la " * 67) < 0.2

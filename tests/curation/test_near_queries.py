import random

from haystack_lrl.curation.near_queries import near_copies, repeated


def letters(rng, words=8):
    return " ".join("".join(rng.choices("abcdefghijklmnoprstuvz", k=rng.randint(2, 9))) for _ in range(words))


def test_near_copies_are_found_in_any_block(monkeypatch):
    monkeypatch.setattr("haystack_lrl.curation.near_queries._BLOCK", 3)
    queries = ["Kiom da lernejoj estas en la urbo Parizo?", "Kiu verkis la unuan libron pri abeloj?", "alia demando"]
    others = [*(f"io alia {n}" for n in range(7)), "KIOM DA LERNEJOJ ESTAS EN LA URBO PARIZO", "Kiu verkis la libron?"]
    assert near_copies(queries, iter(others)) == {0}
    assert near_copies(queries, ["Kiu do verkis la unuan libron pri abeloj?"]) == {1}
    assert near_copies(queries, []) == near_copies([], others) == set()


def test_other_numbers_ask_something_else():
    assert (
        near_copies(["Kio okazis en la jaro 1859 en Bjalistoko?"], ["Kio okazis en la jaro 1887 en Bjalistoko?"])
        == set()
    )


def test_scripts_without_spaces_and_with_other_cases():
    assert near_copies(["東京の人口は何人ですか教えてください"], ["東京の人口は何人ですか、教えてください。"]) == {0}
    assert near_copies(["ԻՆՉՊԵՍ ԵՆ ՄԵՂՈՒՆԵՐԸ ՉՈՐԱՑՆՈՒՄ ՆԵԿՏԱՐԸ"], ["Ինչպես են մեղուները չորացնում նեկտարը։"]) == {0}


def test_the_first_of_near_copies_stays():
    a, b = "Kiom da lernejoj estas en la urbo Parizo?", "Kiu verkis la unuan libron pri abeloj?"
    assert repeated([a, b, a.upper(), f"{b} !", a]) == {2, 3, 4}
    assert repeated([]) == set()
    rng = random.Random(1)
    assert repeated([letters(rng) for _ in range(500)]) == set()


def test_what_is_near_one_that_is_gone_stays():
    """A chain: the second is near the first, the third only near the second."""
    words = letters(random.Random(2), 12).split()
    chain = [" ".join(words[start : start + 8]) for start in (0, 1, 2)]
    assert repeated([chain[0], chain[1]]) == {1}
    assert repeated([chain[0], chain[2]]) == set()
    assert repeated(chain) == {1}

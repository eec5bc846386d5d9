from contextlib import closing

from haystack_lrl.records.keys import Keys


def test_a_set_of_keys():
    with closing(Keys()) as keys:
        assert [keys.add(key) for key in ("a", "b", "a")] == [True, True, False]
        assert ("a" in keys, "c" in keys, len(keys), sorted(keys)) == (True, False, 2, ["a", "b"])


def test_two_sets_know_nothing_of_each_other():
    with closing(Keys()) as one, closing(Keys()) as other:
        one.add("a")
        assert "a" not in other

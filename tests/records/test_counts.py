import pytest

from haystack_lrl.records.counts import Counts


def test_every_row_is_kept_or_rejected_with_a_reason():
    counts = Counts()
    counts.keep()
    for reason in ("empty", "duplicate", "duplicate"):
        counts.reject(reason)
    written = counts.to_json()
    assert written == {"rows": 4, "kept": 1, "rejected": {"duplicate": 2, "empty": 1}}
    assert list(written["rejected"]) == ["duplicate", "empty"]  # the most frequent first


def test_rows_that_do_not_add_up_are_a_bug():
    counts = Counts(rows=3, kept=1)
    with pytest.raises(AssertionError, match="3 rows in, 1 kept and 0 rejected"):
        counts.to_json()

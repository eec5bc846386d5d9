import csv
import html
import json
import re
import shutil
import subprocess

import pytest

from haystack_lrl.evaluation.reviewing import MadeQuestion, apply_review, write_questions, write_review
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line

COLUMNS = ("id", "question", "passage", "verdict", "edited question", "comment")


def question(n):
    return MadeQuestion(f"q{n}", f"Kio estas {n}?", f"d{n}", f"La numero {n}.", "ask: question", ("BM25",))


@pytest.fixture
def folder(tmp_path):
    questions = [question(n) for n in range(10)]
    rows = (dump_line({"_id": f"d{n}", "text": f"La numero {n}."}) for n in range(12))
    (tmp_path / "corpus.jsonl").write_text("".join(rows))
    write_review(tmp_path, questions, language("epo"))
    write_questions(tmp_path, questions)
    return tmp_path


def verdicts(folder, **said):
    """Fill in the sheet: q0="ok", q1=("ok", "Kio do estas 1?")."""
    with (folder / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    path = folder / "verdicts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter=";")
        table.writeheader()
        for row in rows:
            verdict, edited = said[row["id"]] if isinstance(said.get(row["id"]), tuple) else (said.get(row["id"]), "")
            table.writerow({**row, "verdict": verdict or "", "edited question": edited})
    return path


def test_what_was_written_is_a_test_set(folder):
    test_set = load_test_set(folder, "epo")
    assert test_set.queries == {f"q{n}": f"Kio estas {n}?" for n in range(10)}
    assert test_set.qrels == {f"q{n}": {f"d{n}": 1} for n in range(10)}
    assert len(test_set.documents) == 12


def test_verdicts_are_applied_and_counted(folder):
    said = {f"q{n}": "ok" for n in range(4)}
    said |= {"q4": " Not  Relevant ", "q5": "WRONG", "q6": ("edited", "Kio do estas 6?"), "q7": ("", "Kio do 7?")}
    report = apply_review(folder, verdicts(folder, **said))
    test_set = load_test_set(folder, "epo")
    assert list(test_set.queries) == [f"q{n}" for n in range(10) if n not in {4, 5}]  # 8 and 9 were not reviewed
    assert (test_set.queries["q6"], test_set.queries["q7"]) == ("Kio do estas 6?", "Kio do 7?")
    assert test_set.qrels["q6"] == {"d6": 1}
    assert (report["questions"], report["reviewed"], report["kept"]) == (10, 8, 8)
    assert report["verdicts"] == {"ok": 4, "wrong": 1, "not relevant": 1, "edited": 2}
    share, n, z = 0.5, 8, 1.959963984540054  # Wilson, 1927
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    width = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    assert report["agreement"] == pytest.approx({"mean": 0.5, "low": middle - width, "high": middle + width})
    assert json.loads((folder / "review.json").read_text()) == report


def test_a_changed_sheet_is_applied_to_all_questions_again(folder):
    apply_review(folder, verdicts(folder, q0="wrong", q1=("edited", "x")))
    apply_review(folder, verdicts(folder, q0="ok"))
    assert load_test_set(folder, "epo").queries == {f"q{n}": f"Kio estas {n}?" for n in range(10)}


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({}, "has no verdict: fill in the column verdict with ok, wrong, not relevant"),
        ({"q1": "good"}, r"verdicts\.csv line 3 has the verdict 'good', but must have ok, wrong, not relevant"),
        ({"q1": "edited"}, "line 3 says edited but has no edited question"),
        ({f"q{n}": "wrong" for n in range(10)}, "rejects all 10 questions"),
    ],
)
def test_verdicts_that_cannot_be_applied_change_nothing(folder, said, complaint):
    before = load_test_set(folder, "epo")
    with pytest.raises(InputError, match=complaint):
        apply_review(folder, verdicts(folder, **said))
    assert load_test_set(folder, "epo") == before
    assert not (folder / "review.json").exists()


def test_unknown_ids_and_two_verdicts_are_named(folder):
    path = folder / "v.csv"
    path.write_text("id,verdict\nq99,ok\n")
    with pytest.raises(InputError, match=r"v\.csv line 2 has the id 'q99'"):
        apply_review(folder, path)
    path.write_text("id,verdict\nq1,ok\nq1,wrong\n")
    with pytest.raises(InputError, match=r"v\.csv line 3 judges 'q1' a second time"):
        apply_review(folder, path)
    path.write_text("id,verdict\nq1,ok\nq1,ok\n")
    assert apply_review(folder, path)["reviewed"] == 1


def test_a_folder_without_questions_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no questions\.jsonl"):
        apply_review(tmp_path, tmp_path / "v.csv")


EVIL = [
    '<script>alert("x")</script>',
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="x',
    "=1+1",
    "שלום, עולם?",
]


def page_of(folder, texts):
    questions = [MadeQuestion(f"q{n}", text, text, text, "s", ()) for n, text in enumerate(texts)]
    write_review(folder, questions, language("epo"))
    return (folder / "review.html").read_text(encoding="utf-8")


def test_data_cannot_become_markup(tmp_path):
    page = page_of(tmp_path, EVIL)
    assert page.count("<script") == 1
    assert "<img" not in page
    assert 'onmouseover="x' not in page
    assert page.count(html.escape(EVIL[1])) == 3
    assert re.search(r"default-src 'none'; .*script-src 'sha256-[A-Za-z0-9+/]{43}='", page)


@pytest.mark.skipif(not shutil.which("chromium"), reason="the page is run in chromium")
@pytest.mark.integration
def test_the_page_saves_what_is_read_back(folder, tmp_path):
    """Run the page's own table() in a browser: only our script may run, and its table is the sheet's."""
    page = folder / "review.html"
    page_of(folder, EVIL)
    script = page.read_text(encoding="utf-8")
    probe = 'document.querySelector("input[value=wrong]").checked = true; document.title = JSON.stringify(table());'
    unlocked = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", script)
    (folder / "probe.html").write_text(unlocked.replace("count();\n</script>", f"count(); {probe}\n</script>"), "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--dump-dom", (folder / "probe.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    saved = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]))
    rows = list(csv.DictReader(saved.removeprefix("\ufeff").splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [row["question"] for row in rows] == [*EVIL[:3], "'=1+1", EVIL[4]]
    assert [row["verdict"] for row in rows] == ["wrong", "", "", "", ""]
    locked = subprocess.run([*command[:-1], page.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    assert ">0 / 5<" in locked.stdout  # the script ran under the page's own policy

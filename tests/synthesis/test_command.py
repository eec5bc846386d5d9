import shutil
import subprocess
import sys
import time

import pytest

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.command import CommandTranslator, _between, _numbers, split_command
from haystack_lrl.synthesis.translator import load_translator

UPPER = "import sys; sys.stdout.write(sys.stdin.read().upper())"
PARAGRAPHS = "import sys; text = sys.stdin.read().upper(); parts = text.strip().split('\\n\\n');"
SWALLOWS_EVERY_OTHER_BREAK = (
    PARAGRAPHS + "print(''.join(p + (' ' if n % 2 else '\\n\\n') for n, p in enumerate(parts)))"
)
SWALLOWS_SOME_BREAKS = PARAGRAPHS + "print(''.join(p + (' ' if n % 7 == 3 else '\\n\\n') for n, p in enumerate(parts)))"
MERGES_ALL = "import sys; print(' '.join(sys.stdin.read().upper().split()))"
DROPS_THE_LAST = PARAGRAPHS + "print('\\n\\n'.join(parts[:-1] or parts))"
SHUFFLES = PARAGRAPHS + "print('\\n\\n'.join(reversed(parts)))"
WRAPS = "import sys, textwrap; [print(textwrap.fill(line, 20)) for line in sys.stdin.read().upper().split('\\n')]"
DIES = "import sys; print(sys.stdin.readline()); sys.stderr.write('warming up\\nthe dictionary is gone'); sys.exit(3)"
SILENT = "import sys; sys.stdin.read()"


@pytest.fixture
def program(tmp_path):
    def translator(code, timeout=60.0):
        (tmp_path / "program.py").write_text(code)
        return CommandTranslator([sys.executable, str(tmp_path / "program.py")], timeout=timeout)

    return translator


def items(count):
    return [(f"title {n}", f"body number {n}, 70000{n} and so on") for n in range(count)]


def upper(pairs):
    return [tuple(text.upper() for text in pair) for pair in pairs]


def test_many_texts_in_few_processes(program, monkeypatch):
    translator = program(UPPER)
    calls = []
    run = translator._run
    monkeypatch.setattr(translator, "_run", lambda text: calls.append(text) or run(text))
    assert list(translator.translate(items(300))) == upper(items(300))
    assert len(calls) == 4  # 50, 100, 200, 250


@pytest.mark.parametrize(
    "code", [SWALLOWS_EVERY_OTHER_BREAK, SWALLOWS_SOME_BREAKS, MERGES_ALL, DROPS_THE_LAST, SHUFFLES, WRAPS]
)
def test_no_translation_shifts(program, code):
    assert list(program(code).translate(items(12))) == upper(items(12))


def test_an_answer_that_is_lost_for_good_is_empty_and_shifts_nothing(program):
    code = "import sys; print(sys.stdin.read().upper().replace('TITLE 3\\n', '\\n'))"
    expected = upper(items(5))
    expected[3] = ("", expected[3][1])
    assert list(program(code).translate(items(5))) == expected


def test_white_space_inside_a_text_never_parts_it(program):
    text = "one\n\ntwo\t three\x00four 700001\n\n700002\r\n\u2028five"
    assert list(program(UPPER).translate([(text, "e\u0301")])) == [("ONE TWO THREE FOUR 700001 700002 FIVE", "É")]


def test_empty_texts_are_not_sent(program):
    assert list(program(DIES).translate([("", " \n")])) == [("", "")]
    assert list(program(UPPER).translate([("", "a"), ("b", "")])) == [("", "A"), ("B", "")]
    assert list(program(UPPER).translate([])) == []


def test_output_that_is_empty_stays_empty(program):
    assert list(program(SILENT).translate([("a", "b")])) == [("", "")]


def test_lone_surrogates_do_not_stop_the_run(program):
    assert list(program(UPPER).translate([("a\ud800b",)])) == [("A?B",)]


def test_it_streams(program):
    taken = []
    results = program(UPPER).translate(taken.append(n) or (f"text {n}",) for n in range(10_000))
    assert next(results) == ("TEXT 0",)
    assert len(taken) < 100


def test_numbers_stand_in_no_text():
    texts = ["call 0700001", "700002 and 1710000", "72"]
    numbers = _numbers(texts)
    assert numbers == ["720001", "720002", "720003"]


def test_between_trusts_only_what_both_numbers_enclose():
    assert _between("A\n1\nB\nC\n2\nD\n3\n", ["1", "2", "3"]) == ["A", "B C", "D"]
    assert _between("A\n1\nB 2\nC\n3\nD\n4", ["1", "2", "3", "4"]) == ["A", None, None, "D"]
    assert _between("A\n2\nB\n1\n", ["1", "2"]) == [None, None]
    assert _between("A\n1\nB\n1\n2\n", ["1", "2"]) == [None, None]
    assert _between("", ["1", "2"]) == [None, None]


def test_failure_names_exit_code_and_last_line(program):
    with pytest.raises(InputError, match=r"exit code 3 \(the dictionary is gone\)"):
        list(program(DIES).translate(items(3)))


def test_hang_ends_all_of_the_pipeline(program, tmp_path):
    note = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); child.wait()"
    )
    start = time.monotonic()
    with pytest.raises(InputError, match="no answer in 1 seconds: raise translator_timeout"):
        list(program(code, timeout=1.0).translate(items(3)))
    assert time.monotonic() - start < 10
    child = int(note.read_text())
    for _ in range(50):
        if not alive(child):
            return
        time.sleep(0.1)
    pytest.fail("the program's child outlived it")


def alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")  # killed and not yet collected is dead too


def test_what_the_user_can_mend(tmp_path):
    with pytest.raises(InputError, match="'no-such-program' is not there: install it"):
        load_translator("command:no-such-program -u", language("epo"))
    with pytest.raises(InputError, match="mend its quotation marks"):
        split_command("apertium 'en-eo")
    for spec in ("apertium -u en-eo", "command:", "google:x"):
        with pytest.raises(InputError, match="write command:PROGRAM, seq2seq:MODEL, chat:GENERATOR"):
            load_translator(spec, language("epo"))
    text = tmp_path / "binary"
    text.write_bytes(b"\x00\x01")
    text.chmod(0o755)
    with pytest.raises(InputError, match="cannot be started"):
        list(CommandTranslator([str(text)]).translate([("a",)]))


def test_identity_is_the_command(program):
    translator = load_translator(f"command:{sys.executable} -c 'a b'", language("epo"))
    assert translator.identity == {"command": [sys.executable, "-c", "a b"]}


def folded(item):
    return tuple(text.casefold() for text in item)  # Apertium's first capital depends on what stands before


@pytest.mark.integration
@pytest.mark.parametrize("direction", ["en-eo", "eng-cat", "en-gl"])
def test_apertium_in_a_batch_says_what_it_says_alone(direction):
    if shutil.which("apertium") is None:
        pytest.skip("apertium is not installed")
    translator = CommandTranslator(["apertium", "-u", direction])
    texts = [
        ("What is a lagoon?", "A lagoon is a shallow body of water"),
        ("The cat sleeps", "It's 700001 <b>metres</b> & [high] {x} ^y$ @ \\ / away (see 5)."),
        ("", "He said: \"Hello.\"\n\nThen he left; the U.S. team's dogs didn't."),
        ("1999", "http://example.org/a_b?c=d Dr. Smith and Mr. Jones, 3.5% of $4"),
    ]
    alone = [tuple(next(iter(translator.translate([(text,)])))[0] for text in item) for item in texts]
    together = list(translator.translate(texts))
    assert [folded(item) for item in together] == [folded(item) for item in alone]
    assert together[0][1] != texts[0][1]


@pytest.mark.integration
def test_apertium_without_the_language_says_so():
    if shutil.which("apertium") is None:
        pytest.skip("apertium is not installed")
    with pytest.raises(InputError, match="Mode en-xyz does not exist"):
        list(CommandTranslator(["apertium", "en-xyz"]).translate([("a", "b")]))

"""Any program that reads text and writes its translation, such as Apertium.

Texts go in as paragraphs, and after each of them a bare number as a paragraph of its own. A translation counts only
when the numbers around it come back alone and in order; otherwise its text is sent again among fewer, at last alone.
So a program that joins, drops or adds paragraphs costs time but never shifts one translation to another text.
"""

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.translator import Texts, Unusable, one_line, text_by_text

_FIRST_TEXTS = 50  # a batch; then doubled as long as batches stay well below the timeout
_MOST_TEXTS = 2000  # Apertium's start is then under 1% of the time, and a killed run loses seconds of work
_MOST_CHARACTERS = 500_000  # bounds memory, whatever the length of texts
_PARTS = 4  # texts next to a lost number are sent again in this many groups


def split_command(line: str) -> list[str]:
    """Return program and arguments as a shell would part them.

    :raises InputError: when a quotation is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InputError(f"The command {line!r} cannot be read ({error}): mend its quotation marks.") from error


class CommandTranslator:
    """Translate with a program, one process a batch, without a shell.

    :param argv: the program and its arguments.
    :param timeout: seconds that a batch may take.
    :raises InputError: when there is no such program.
    """

    def __init__(self, argv: Sequence[str], *, timeout: float = 600.0) -> None:
        if not argv or shutil.which(argv[0]) is None:
            program = argv[0] if argv else ""
            raise InputError(f"The translator's program {program!r} is not there: install it, or correct its name.")
        self.argv = list(argv)
        self.timeout = timeout
        self._texts = _FIRST_TEXTS  # a batch; kept between calls, since a worker is called with many short inputs

    @property
    def identity(self) -> Mapping[str, Any]:
        """The program and its arguments."""
        return {"command": self.argv}

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item; empty texts stay empty and are not sent.

        :raises InputError: when the program fails or hangs.
        """
        return text_by_text(items, self._translate_texts)

    def _translate_texts(self, texts: Iterable[str]) -> Iterator[str]:
        source = map(one_line, texts)
        while batch := list(_take(source, self._texts)):
            start = time.monotonic()
            translations = self._translate_batch(batch)
            if len(batch) == self._texts and time.monotonic() - start < self.timeout / 10:
                self._texts = min(2 * self._texts, _MOST_TEXTS)
            yield from translations

    def _translate_batch(self, texts: list[str]) -> list[str]:
        """Translate until every text has a translation of its own."""
        translations = [""] * len(texts)
        groups = [[place for place, text in enumerate(texts) if text]]
        while groups:
            group = groups.pop()
            lost = []
            for place, answer in zip(group, self._ask([texts[place] for place in group]), strict=True):
                if answer is None:
                    lost.append(place)
                else:
                    translations[place] = answer
            # where no number came back at all, none will in smaller groups either
            size = 1 if len(lost) == len(group) else -(-len(lost) // _PARTS)
            groups += [lost[start : start + size] for start in range(0, len(lost), size or 1)]
        return translations

    def _ask(self, texts: list[str]) -> list[str | None]:
        """Return each text's translation, or None where it cannot be told from its neighbours'."""
        if len(texts) < 2:
            return [one_line(self._run(text)) for text in texts]
        numbers = _numbers(texts)
        paragraphs = itertools.chain.from_iterable(zip(texts, numbers, strict=True))
        return _between(self._run("\n\n".join(paragraphs)), numbers)

    def _run(self, text: str) -> str:
        name = " ".join(self.argv)
        with self._start() as process:
            try:
                # lone surrogates, which JSON can hold and UTF-8 cannot, become question marks
                output, errors = process.communicate(f"{text}\n".encode(errors="replace"), timeout=self.timeout)
            except subprocess.TimeoutExpired as error:
                raise InputError(
                    f"The translator {name} gave no answer in {self.timeout:g} seconds: raise translator_timeout, "
                    "or check that the program ends when its input does."
                ) from error
            finally:
                if process.poll() is None:  # the program may be a pipeline: end all of it
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise InputError(
                f"The translator {name} failed with exit code {process.returncode} ({_complaint(errors or output)}): "
                "correct the command; translations made so far are kept."
            )
        return output.decode(errors="replace")

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(self.argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise InputError(
                f"The translator's program {self.argv[0]!r} cannot be started ({error.strerror}): correct the command."
            ) from error


def _take(texts: Iterator[str], most: int) -> Iterator[str]:
    """Yield up to that many texts, fewer where they are long."""
    characters = 0
    for text in itertools.islice(texts, most):
        yield text
        characters += len(text)
        if characters >= _MOST_CHARACTERS:
            return


def _numbers(texts: Sequence[str]) -> list[str]:
    """Return one number a text, such as 700001, none of which stands in any of the texts."""
    long = " ".join(re.findall(r"\d{6,}", " ".join(texts)))
    head = next(head for head in itertools.count(70) if str(head) not in long)
    return [str(10_000 * head + place) for place in range(1, len(texts) + 1)]


def _between(output: str, numbers: Sequence[str]) -> list[str | None]:
    """Return what stands before each number, or None where a number next to it is missing or out of order."""
    lines = [line.strip() for line in output.splitlines()]
    wanted = set(numbers)
    found = [line for line in lines if line in wanted]
    if found != sorted(set(found)):
        return [None] * len(numbers)
    ends = {line: place for place, line in enumerate(lines) if line in wanted}
    answers: list[str | None] = []
    start: int | None = 0
    for number in numbers:
        end = ends.get(number)
        answers.append(None if start is None or end is None else one_line(" ".join(lines[start:end])))
        start = None if end is None else end + 1
    return answers


def _complaint(errors: bytes) -> str:
    """Return the line that says what went wrong: the first that speaks of an error, otherwise the last."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "it said nothing")[:300]

"""The command line: parse, call, report. Heavy imports happen inside the commands."""

import errno
import importlib
import logging
import sys
from typing import Any

import click

import haystack_lrl
from haystack_lrl.records.errors import InputError, MissingExtraError

# command -> (module, one line for --help): the modules are imported when their command is called
_COMMANDS = {
    "quickstart": ("quickstart", "Run the whole road on the sample data, offline, in minutes."),
    "adapt": ("adapt", "Seeds in, a measured embedder out: every stage in order."),
    "translate": ("synthesis", "Translate English pairs into the language."),
    "ask": ("synthesis", "Ask questions about passages."),
    "triplets": ("synthesis", "Write positives and hard negatives for anchors."),
    "train-generator": ("generators", "Train the LoRAs of a model that writes triplets."),
    "compose-adapters": ("generators", "Compose a task's LoRA with those of two languages."),
    "plan": ("plan", "Say what a run at scale takes: hours, disk, memory, shards, nodes."),
    "filter": ("stages", "Split translated pairs into kept and rejected."),
    "tokenizer-report": ("vocabulary", "Report how a tokenizer fits the language, against English."),
    "grow-vocabulary": ("vocabulary", "Give a model the words of the language, without training."),
    "trim-vocabulary": ("vocabulary", "Keep only the pieces that the language and English use."),
    "mine": ("mining", "Give every pair hard negatives."),
    "train": ("stages", "Train a base model on pairs."),
    "merge": ("stages", "Average base and adapted weights."),
    "export": ("export", "Write a model for OpenVINO or ONNX Runtime, if the language bears it."),
    "evaluate": ("evaluate", "Measure models, BM25 and the hybrid on a test set."),
    "compare": ("compare", "Compare any number of systems, with tests of every pair."),
    "make-test-set": ("make_test_set", "Make a test set of your own documents, with a sheet for a native speaker."),
    "review-test-set": ("make_test_set", "Apply a native speaker's verdicts to a made test set."),
    "index": ("index", "Put files where they can be searched: in memory or OpenSearch."),
    "search": ("search", "Ask an index by words, by vectors or by both."),
    "ask-rag": ("rag", "Answer a question from the documents of an index, with sources."),
    "serve": ("serve", "Serve search and answers over HTTP, with a web page."),
}


class _Commands(click.Group):
    """A group that imports a command's module only when it is called, and ends with 2 on what the user can mend."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"haystack_lrl.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        try:
            return super().invoke(ctx)
        except (InputError, MissingExtraError) as error:
            raise _Failure(str(error)) from error
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}:
                raise
            where = error.filename or "the output"
            raise _Failure(
                f"{where} could not be written ({error.strerror}): mend that and run the same command again."
            ) from error


class _Failure(click.ClickException):
    """One sentence on standard error, exit code 2."""

    exit_code = 2


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(haystack_lrl.__version__, prog_name="haystack-lrl")
def main() -> None:
    """Adapt a text embedder to a low-resource language, and prove the gain.

    \b
    haystack-lrl quickstart
    haystack-lrl adapt --language epo --seeds seeds.jsonl --translator "command:apertium -u en-eo" \\
        --base-model PATH_OR_HUB_ID --output runs/epo
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("haystack_lrl").setLevel(logging.INFO)
    for noisy in ("sentence_transformers", "transformers", "huggingface_hub", "datasets"):
        logging.getLogger(noisy).setLevel(logging.ERROR)

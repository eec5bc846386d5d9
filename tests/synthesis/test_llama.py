"""Real llama.cpp, as a server and inside this process. The model writes nonsense: what is around it is tested."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from haystack_lrl.cli import main
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.pair import Pair
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.asking import Asker, AskSettings, ask_file
from haystack_lrl.synthesis.chat import Question
from haystack_lrl.synthesis.generators import load_chat
from haystack_lrl.synthesis.translation import translate_file
from haystack_lrl.synthesis.translator import Unusable, load_translator
from haystack_lrl.synthesis.triplets import TripletMaker, TripletSettings, triplet_file

pytestmark = pytest.mark.integration
EPO = language("epo")
PASSAGES = [Passage(f"Once upon a time there was a cat number {n}.", str(n)) for n in range(6)]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Prompts that leave room in a context of 512 tokens of a few letters each."""
    folder = tmp_path_factory.mktemp("prompts")
    for name, text in {
        "translate": "$language $own_name $keys $text",
        "ask-sap": "$passage_language $keys $exemplars $input",
        "triplet": "$language $keys $exemplars $input",
        "positive": "$anchor_language $output_language $anchor",
        "negative": "$anchor_language $output_language $anchor Not:",
    }.items():
        (folder / f"{name}.txt").write_text(f"version: 1\n{text}\n")
    return folder


@pytest.fixture(scope="module", params=["server", "in process"])
def gguf(request, shared):
    """The model's file, and llama-server in the environment or not."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "server":
            patch.setenv("LLAMA_SERVER", str(shared / "bin" / "llama-server"))
        else:
            pytest.importorskip("llama_cpp")
            patch.delenv("LLAMA_SERVER", raising=False)
            patch.setenv("PATH", "/nowhere")
        yield str(shared / "models" / "stories260K-gguf" / "stories260K-f16.gguf")


@pytest.fixture(scope="module")
def chat(gguf):
    model = load_chat(gguf)
    model.generator.generation_kwargs |= {"max_tokens": 120, "max_completion_tokens": 120}
    if "llama_cpp" in type(model.generator).__module__:
        model.generator.generation_kwargs.pop("max_completion_tokens")
    return model


def test_a_schema_holds_even_a_model_that_writes_nonsense(chat):
    """A grammar ends in JSON with the keys asked for, unless the tokens run out first."""
    questions = [Question(f"A cat number {n}.", ("summary", "query")) for n in range(8)]
    answers = list(chat.answers(questions))
    assert len(answers) == 8
    for answer in answers:
        text = answer.raw if isinstance(answer, Unusable) else json.dumps(dict(answer))
        assert text.lstrip().startswith("{")
        if not isinstance(answer, Unusable):
            assert list(answer) == ["summary", "query"]
    assert chat.usage["completion_tokens"] > 0


def test_every_row_of_ask_is_accounted_for_and_resumed(chat, prompts, tmp_path):
    asker = Asker(chat, EPO, AskSettings(exemplars=0, passage_language="eng", prompts=str(prompts)))
    output = tmp_path / "asked.jsonl"
    first = ask_file(PASSAGES[:3], output, asker, progress=False)
    before = chat.usage["requests"]
    counts = ask_file(PASSAGES, output, asker, progress=False)
    assert (first.rows, counts.rows) == (3, 6)
    assert counts.kept + counts.rejected.total() == 6
    assert 3 <= chat.usage["requests"] - before <= 6  # three rows, with a second try each at most
    assert [row["id"] for _, row in read_jsonl(output)] == [passage.id for passage in PASSAGES]


@pytest.mark.parametrize("strategy", ["icl", "composed", "xl-lora"])
def test_triplets_are_accounted_for(chat, prompts, tmp_path, strategy):
    settings = TripletSettings(strategy, exemplars=0, prompts=str(prompts))
    counts = triplet_file(PASSAGES, tmp_path / "triplets.jsonl", TripletMaker(chat, EPO, settings), progress=False)
    assert counts.rows == 6
    assert counts.kept + counts.rejected.total() == 6


def test_translations_are_accounted_for(chat, gguf, prompts, tmp_path):
    translator = load_translator(f"chat:{gguf}", EPO, prompts=prompts)
    translator.chat = chat
    pairs = [Pair(passage.text, f"{passage.text} It was big.") for passage in PASSAGES]
    counts = translate_file(pairs, tmp_path / "pairs.jsonl", translator, EPO, progress=False)
    assert counts.kept + counts.rejected.total() == 6


def test_a_prompt_longer_than_the_context_is_rejected(chat):
    (answer,) = chat.answers([Question("A cat sat. " * 600, ("query",))])
    assert isinstance(answer, Unusable)
    assert answer.reason == "longer than the context"


def test_the_identity_is_the_content_of_the_file(chat, gguf):
    assert chat.identity["model"] == "stories260K-f16.gguf"
    assert load_chat(gguf.replace("f16", "f32")).identity["weights"] != chat.identity["weights"]


def test_a_real_file_that_is_broken_is_named(gguf, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(Path(gguf).read_bytes()[:20_000])
    result = CliRunner().invoke(
        main,
        ["ask", "--language", "epo", "--passages", _passages(tmp_path), "--generator", str(broken), "--quiet",
         "--output", str(tmp_path / "out.jsonl")],
    )  # fmt: skip
    assert result.exit_code == 2, result.output
    assert "broken.gguf" in result.output


def _passages(folder):
    path = folder / "passages.jsonl"
    path.write_text("".join(json.dumps({"_id": p.id, "text": p.text}) + "\n" for p in PASSAGES))
    return str(path)


def test_the_server_ends_with_a_killed_process(shared, tmp_path):
    """Nothing is left behind that would hold gigabytes of memory."""
    code = (
        "import sys, time\nfrom haystack_lrl.synthesis.generators import load_chat\n"
        "chat = load_chat(sys.argv[1])\nchat.warm_up()\nprint(chat.generator.api_base_url, flush=True)\ntime.sleep(60)"
    )
    model = str(shared / "models" / "stories260K-gguf" / "stories260K-f16.gguf")
    environment = os.environ | {"LLAMA_SERVER": str(shared / "bin" / "llama-server")}
    process = subprocess.Popen([sys.executable, "-c", code, model], stdout=subprocess.PIPE, text=True, env=environment)
    url = process.stdout.readline().strip()
    assert _serves(url)
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 10
    while _serves(url):
        assert time.monotonic() < end
        time.sleep(0.1)


def _serves(url):
    import httpx

    try:
        return httpx.get(f"{url}/models", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_commands_run_on_a_gguf_file(shared, prompts, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_SERVER", str(shared / "bin" / "llama-server"))
    model = str(shared / "models" / "stories260K-gguf" / "stories260K-f16.gguf")
    common = ["--language", "epo", "--quiet", "--prompts", str(prompts)]
    asked = ["ask", *common, "--passages", _passages(tmp_path), "--generator", model, "--passage-language", "eng",
             "--exemplars", "0", "--output", str(tmp_path / "asked.jsonl")]  # fmt: skip
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.output
    counts = json.loads(result.output.splitlines()[-1])
    assert counts["rows"] == 6 == counts["kept"] + sum(counts["rejected"].values())
    triplets = [
        "triplets",
        *common,
        "--anchors",
        _passages(tmp_path),
        "--generator",
        model,
        "--exemplars",
        "0",
        "--estimate",
    ]
    result = CliRunner().invoke(main, triplets)
    assert result.exit_code == 0, result.output
    assert "rows per minute" in result.output
    assert "completion tokens" in result.output

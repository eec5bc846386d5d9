import json
import shutil
import sys
import threading
import time

import pytest
from chat_server import ChatServer, question_of
from haystack.components.generators.chat import MockChatGenerator
from haystack.dataclasses import ChatMessage

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.answers import AnswerError, parse_answer
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.chat_translation import ChatTranslator
from haystack_lrl.synthesis.generators import load_chat
from haystack_lrl.synthesis.translator import Unusable, load_translator

HYE = language("hye")
KEYS = ("title", "body")
GOOD = '{"title": "վերնագիր", "body": "մարմին"}'


class Fake:
    """Answers in order, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def run(self, messages):
        self.asked.append(messages)
        return {"replies": [ChatMessage.from_assistant(self.answers.pop(0))]}


def translator(generator, **options):
    return ChatTranslator(ChatModel(generator, model={"name": "fake"}, **options), HYE)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here {{it}} is: {GOOD} I hope {{this}} helps!",
        '<think>{"title": "draft", "body": "draft"}</think>' + GOOD,
        '{"title": "վերնագիր",\n "note": {"title": "x"}, "body": "\n մարմին"}',
    ],
)
def test_answers_are_read_whatever_stands_around_them(answer):
    assert parse_answer(answer, KEYS) == {"title": "վերնագիր", "body": "մարմին"}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("", "it holds no complete JSON object"),
        ("Sorry, I cannot.", 'with the keys "title" and "body"'),
        ('{"title": "վերնագիր", "body": "մար', "it holds no complete JSON object"),
        ('["վերնագիր", "մարմին"]', "it holds no complete JSON object"),
        ('{"title": "վերնագիր"}', "the key 'body' is missing"),
        ('{"title": " ", "body": "մարմին"}', "the key 'title' is missing, is empty"),
        ('{"title": ["վերնագիր"], "body": "մարմին"}', "the key 'title' .* is not a text"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(answer, complaint):
    with pytest.raises(AnswerError, match=complaint):
        parse_answer(answer, KEYS)


def test_the_question_says_what_and_how():
    generator = Fake(GOOD, '{"text": "մեկ"}')
    results = list(translator(generator).translate([("100% $free {title}", 'He said "no"'), ("one",)]))
    assert results == [("վերնագիր", "մարմին"), ("մեկ",)]
    question = generator.asked[0][0].text
    for part in ("Armenian", "հայերեն", '"title" and "body"', "named entities", "100% $free {title}", r"\"no\""):
        assert part in question
    assert "version" not in question and question.count("$") == 1  # noqa: PT018
    assert 'the key "text"' in generator.asked[1][0].text


def test_one_repair_attempt_shows_what_was_wrong():
    generator = Fake("no", GOOD)
    assert list(translator(generator).translate([("a", "b")])) == [("վերնագիր", "մարմին")]
    question, answer, again = generator.asked[1]
    assert (answer.text, answer.role.value) == ("no", "assistant")
    assert "it holds no complete JSON object" in again.text
    assert question is generator.asked[0][0]


def test_two_bad_answers_end_in_an_unusable_row_and_the_next_goes_on():
    generator = Fake("no", "still no", GOOD)
    results = list(translator(generator).translate([("a", "b"), ("c", "d")]))
    assert results == [Unusable("unparseable answer", "still no"), ("վերնագիր", "մարմին")]


def test_empty_texts_are_not_asked_for_and_stay_empty():
    generator = Fake('{"title": "added", "body": "մարմին"}')
    assert list(translator(generator).translate([("", " "), ("", "b")])) == [("", ""), ("", "մարմին")]


def test_no_replies_count_as_an_empty_answer():
    class Silent:
        def run(self, messages):
            return {"replies": []}

    assert list(translator(Silent()).translate([("a", "b")])) == [Unusable("unparseable answer", "")]


def echo(messages):
    source = json.loads(messages[0].text.splitlines()[-1])
    return json.dumps({key: text.upper() for key, text in source.items()})


@pytest.mark.parametrize("workers", [1, 5])
def test_order_holds_with_any_number_of_workers_and_items_are_taken_as_needed(workers):
    taken = []
    items = ((f"title {n}", f"body {n}") for n in range(40) if not taken.append(n))
    results = ChatTranslator(ChatModel(MockChatGenerator(response_fn=echo), workers=workers), HYE).translate(items)
    assert next(results) == ("TITLE 0", "BODY 0")
    assert len(taken) <= 4 * workers
    assert list(results) == [(f"TITLE {n}", f"BODY {n}") for n in range(1, 40)]


def test_identity_follows_generator_language_and_prompt():
    def identity(model, code):
        return ChatTranslator(ChatModel(MockChatGenerator("x", model=model)), language(code)).identity

    assert identity("a", "hye") == identity("a", "hye")
    assert len({json.dumps(identity(*case)) for case in [("a", "hye"), ("b", "hye"), ("a", "kat")]}) == 3
    assert identity("a", "hye")["chat"]["type"].endswith("MockChatGenerator")


def shout(request):
    return echo([ChatMessage.from_user(question_of(request))])


@pytest.fixture
def no_retries(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")


@pytest.fixture
def server(no_retries):
    stub = ChatServer(shout)
    with stub.running_at() as stub.url:
        yield stub


def test_any_openai_compatible_server_will_do(server):
    chat = load_translator(f"chat:{server.url}#a/model", HYE)
    items = [(f"title {n}", f"body {n}") for n in range(20)]
    assert list(chat.translate(items)) == [(f"TITLE {n}", f"BODY {n}") for n in range(20)]
    request = server.requests[0]
    assert (server.keys[0], request["model"], request["temperature"]) == ("Bearer none", "a/model", 0)
    schema = request["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == schema["required"] == ["title", "body"]
    assert chat.identity["chat"] == {"url": server.url, "model": "a/model"}
    assert chat.chat.usage == {"requests": 20, "prompt_tokens": 200, "completion_tokens": 100}


def test_eight_requests_are_under_way_at_a_time(server):
    together = threading.Barrier(8)
    server.answer = lambda request: together.wait(60) >= 0 and shout(request)
    items = [(f"title {n}", f"body {n}") for n in range(16)]
    assert len(list(load_translator(f"chat:{server.url}", HYE).translate(items))) == 16
    assert server.most == 8


def test_a_server_is_identified_by_what_it_reports_and_not_by_its_address(no_retries):
    identities = []
    for size in (1, 1, 2):
        stub = ChatServer(shout, [{"id": "model.gguf", "created": 5, "meta": {"size": size}}])
        with stub.running_at() as url:
            identities.append(load_chat(url).identity)
            assert load_chat(f"{url}#other").identity == {"model": "other", "url": url}
    assert identities[0] == {"model": "model.gguf", "reported": {"id": "model.gguf", "meta": {"size": 1}}}
    assert identities[0] == identities[1] != identities[2]


def test_the_key_comes_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    chat = load_translator(f"chat:{server.url}", HYE)
    assert list(chat.translate([("a", "b")])) == [("A", "B")]
    assert server.keys[0] == "Bearer a-key"
    assert "a-key" not in str(chat.identity)


def refusing(word, status, message="the prompt is bad"):
    return lambda request: (status, message) if word in question_of(request) else shout(request)


def test_one_refused_request_is_one_rejected_row(server):
    server.answer = refusing("too long a body", 400)
    items = [("a", "b")] * 20 + [("c", "too long a body"), ("d", "e")]
    results = list(load_translator(f"chat:{server.url}", HYE).translate(items))
    assert [n for n, result in enumerate(results) if isinstance(result, Unusable)] == [20]
    assert results[20].reason == "refused by the server"
    assert "the prompt is bad" in results[20].raw


def test_a_prompt_longer_than_the_context_is_a_rejected_row_even_if_it_comes_first(server):
    server.answer = refusing("too long a body", 400, "request (600 tokens) exceeds the available context size")
    results = list(load_translator(f"chat:{server.url}", HYE).translate([("c", "too long a body"), ("d", "e")]))
    assert [results[0].reason, results[1]] == ["longer than the context", ("D", "E")]


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_a_server_that_refuses_everything_stops_the_run(server, status):
    server.answer = refusing("Translate", status)
    with pytest.raises(InputError, match=r"the prompt is bad.*check the server, its address"):
        list(load_translator(f"chat:{server.url}", HYE).translate([("a", "b")] * 3))


def test_a_server_that_is_not_there_is_found_before_any_work():
    with pytest.raises(InputError, match=r"chat server http://127.0.0.1:9/v1 gave no answer .*start it"):
        load_translator("chat:http://127.0.0.1:9/v1", HYE, timeout=2)


def test_a_server_that_dies_half_way_stops_the_run_and_keeps_what_it_answered(server):
    def answer(request):
        if "dead" in question_of(request):
            raise ConnectionAbortedError
        return shout(request)

    server.answer = answer
    texts = ["one", "two", *["dead"] * 9]
    results = load_translator(f"chat:{server.url}", HYE).translate((text,) for text in texts)
    assert [next(results), next(results)] == [("ONE",), ("TWO",)]
    with pytest.raises(InputError, match="a rerun goes on where this one stopped"):
        next(results)


def test_a_server_without_json_schemas_is_asked_without_them(server):
    server.answer = lambda request: (400, "no response_format") if "response_format" in request else shout(request)
    items = [(f"title {n}", f"body {n}") for n in range(30)]
    results = list(load_translator(f"chat:{server.url}", HYE).translate(items))
    assert results == [(f"TITLE {n}", f"BODY {n}") for n in range(30)]
    assert "response_format" not in server.requests[-1]


@pytest.mark.parametrize("trouble", [(429, "slow down"), (500, "broken"), (503, "loading")])
def test_the_client_backs_off_and_tries_again(monkeypatch, trouble):
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "2")
    asked = []
    stub = ChatServer(lambda request: trouble if not asked.append(1) and len(asked) == 1 else shout(request))
    with stub.running_at() as url:
        assert list(load_translator(f"chat:{url}", HYE).translate([("a", "b")])) == [("A", "B")]
    assert len(asked) == 2


def test_a_slow_server_is_tried_again_and_then_named(monkeypatch):
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    stub = ChatServer(lambda request: time.sleep(2) or shout(request))
    with stub.running_at() as url, pytest.raises(InputError, match=r"timed out.*timeout"):
        list(load_translator(f"chat:{url}", HYE, timeout=0.3).translate([("a", "b")]))


def test_an_answer_that_was_cut_off_is_asked_for_again_and_then_rejected(server):
    server.answer = lambda request: (200, '{"title": "half', "length")
    (result,) = load_translator(f"chat:{server.url}", HYE).translate([("a", "b")])
    assert result == Unusable("unparseable answer", '{"title": "half')
    assert len(server.requests) == 2


def test_later_answers_to_the_same_prompt_are_sampled(server):
    questions = [Question(json.dumps({"text": "a"}), ("text",), None, seed) for seed in (None, 7)]
    assert len(list(load_chat(server.url).answers(questions))) == 2
    first, second = sorted(server.requests, key=lambda request: request.get("seed", 0))
    assert ("seed" not in first, first["temperature"]) == (True, 0)
    assert (second["seed"], second["temperature"]) == (7, 0.8)


def test_plain_answers_lose_what_stands_around_them():
    for answer in ("Մեկ։", ' "Մեկ։" ', "<think>hm</think>\n«Մեկ։»", "```text\nՄեկ։\n```"):
        assert parse_answer(answer, ()) == {"text": "Մեկ։"}
    assert parse_answer("«Ա» և «Բ»", ()) == {"text": "«Ա» և «Բ»"}
    with pytest.raises(AnswerError, match="it is empty"):
        parse_answer("<think>only this</think>", ())


def test_a_check_sends_an_answer_back_once():
    generator = Fake('{"text": "bad"}', '{"text": "good"}', '{"text": "bad"}', '{"text": "bad"}')

    def check(answer):
        return "wrong language" if answer["text"] == "bad" else None

    model = ChatModel(generator, model={})
    results = list(model.answers([Question("p", ("text",), check)] * 2))
    assert results == [{"text": "good"}, Unusable("wrong language", '{"text": "bad"}')]
    assert "cannot be used: wrong language" in generator.asked[1][2].text


def test_a_serialised_generator(tmp_path):
    file = tmp_path / "generator.yaml"
    kind = "haystack.components.generators.chat.mock.MockChatGenerator"
    file.write_text(f"type: {kind}\ninit_parameters:\n  model: m\n")
    chat = load_translator(f"chat:{file}", HYE)
    assert chat.identity["chat"]["type"] == kind
    result = next(chat.translate([("a", "b")]))  # the mock says the question back
    assert result == ("a", "b")


def test_settings_that_change_no_answer_are_not_part_of_the_identity(tmp_path):
    identities = []
    for timeout in (10, 20):
        file = tmp_path / f"{timeout}.yaml"
        file.write_text(
            "type: haystack.components.generators.chat.openai.OpenAIChatGenerator\n"
            "init_parameters:\n"
            "  model: m\n"
            "  api_key: {type: env_var, env_vars: [SOME_KEY], strict: true}\n"
            f"  timeout: {timeout}\n"
        )
        identities.append(load_translator(f"chat:{file}", HYE).identity)
    assert identities[0] == identities[1]
    with pytest.raises(InputError, match=r"cannot be started .*SOME_KEY"):
        list(load_translator(f"chat:{file}", HYE).translate([("a", "b")]))


@pytest.mark.parametrize(
    "content",
    [
        "type: os.path.join\ninit_parameters: {}\n",
        "type: haystack.components.generators.chat.mock.NoSuchGenerator\ninit_parameters: {}\n",
        "type: haystack.components.generators.chat.mock.MockChatGenerator\ninit_parameters: {typo: 1}\n",
        "init_parameters: {}\n",
        "- a list\n",
        "type: [unclosed\n",
        "type: haystack.components.generators.chat.mock.MockChatGenerator\ninit_parameters: {responses: x}\n",
        "type: haystack.components.builders.prompt_builder.PromptBuilder\ninit_parameters: {template: x}\n",
    ],
)
def test_yaml_that_is_no_chat_generator(tmp_path, content):
    file = tmp_path / "generator.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=r"generator\.yaml (is not a serialised chat generator|holds a PromptBuilder)"):
        load_translator(f"chat:{file}", HYE)


def test_what_the_user_can_mend(tmp_path):
    for missing in ("no.yaml", "no.gguf", "nowhere"):
        with pytest.raises(InputError, match="is not there: give http://HOST:PORT"):
            load_translator(f"chat:{tmp_path / missing}", HYE)
    pytest.importorskip("haystack_integrations.components.generators.transformers")
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        load_translator(f"chat:{tmp_path}", HYE)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"model\.gguf is not a GGUF file: download"):
        load_chat(str(file))


def test_llama_cpp_names_its_extra_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "haystack_integrations.components.generators.llama_cpp", None)
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(ImportError, match=r'pip install "haystack-lrl\[llama-cpp\]"'):
        load_chat(str(file))


def test_a_named_llama_server_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_SERVER", str(tmp_path / "nowhere"))
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"LLAMA_SERVER is .*nowhere, which is no program"):
        load_chat(str(file))


def test_a_llama_server_that_fails_says_why(tmp_path, monkeypatch):
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\necho error: bad tensor >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("LLAMA_SERVER", str(program))
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF broken")
    with pytest.raises(InputError, match=r"does not serve .*model\.gguf \(error: bad tensor\)"):
        list(load_chat(str(file)).answers([Question("p")]))


@pytest.mark.integration
def test_a_folder_without_a_chat_template_is_refused(shared):
    pytest.importorskip("haystack_integrations.components.generators.transformers")
    with pytest.raises(InputError, match="has no chat template"):
        load_translator(f"chat:{shared / 'models' / 'stories260K-hf'}", HYE)


@pytest.mark.integration
def test_a_model_that_writes_nonsense_gives_unusable_rows(shared, tmp_path):
    pytest.importorskip("haystack_integrations.components.generators.transformers")
    folder = shutil.copytree(shared / "models" / "stories260K-hf", tmp_path / "stories")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{% for message in messages %}{{ message.content[:40] }}\n{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "translate.txt").write_text("version: 1\n$language $own_name $keys $text")
    chat = load_translator(f"chat:{folder}", HYE, prompts=tmp_path)
    chat.chat.generator.generation_kwargs["max_new_tokens"] = 20
    results = list(chat.translate([("a cat", "a dog"), ("one", "two")]))
    assert [result.reason for result in results] == ["unparseable answer"] * 2
    assert all(result.raw for result in results)
    assert set(chat.identity["chat"]) == {"model", "weights"}

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from haystack.components.generators.chat import MockChatGenerator
from haystack.dataclasses import ChatMessage

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.chat import AnswerError, ChatTranslator, parse_answer
from haystack_lrl.synthesis.translator import Unusable, load_translator

HYE = language("hye")
PAIR = {"title": "a title", "body": "a body"}
GOOD = '{"title": "վերնագիր", "body": "մարմին"}'


class Fake:
    """Answers in order, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def run(self, messages):
        self.asked.append(messages)
        return {"replies": [ChatMessage.from_assistant(self.answers.pop(0))]}


def translator(generator, **options):
    return ChatTranslator(generator, HYE, model={"name": "fake"}, **options)


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
    assert parse_answer(answer, PAIR) == ("վերնագիր", "մարմին")


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
        parse_answer(answer, PAIR)


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
    results = ChatTranslator(MockChatGenerator(response_fn=echo), HYE, workers=workers).translate(items)
    assert next(results) == ("TITLE 0", "BODY 0")
    assert len(taken) <= 2 * workers
    assert list(results) == [(f"TITLE {n}", f"BODY {n}") for n in range(1, 40)]


def test_identity_follows_generator_language_and_prompt():
    def identity(model, code):
        return ChatTranslator(MockChatGenerator("x", model=model), language(code)).identity

    assert identity("a", "hye") == identity("a", "hye")
    assert len({json.dumps(identity(*case)) for case in [("a", "hye"), ("b", "hye"), ("a", "kat")]}) == 3
    assert identity("a", "hye")["chat"]["type"].endswith("MockChatGenerator")


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server of one route, which upper-cases."""

    protocol_version = "HTTP/1.1"
    refuse, asked = {}, []

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], request))
        question = request["messages"][0]["content"]
        status = next((status for word, status in self.refuse.items() if word in question), 200)
        answer = echo([ChatMessage.from_user(question)])
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
        good = {"id": "1", "object": "chat.completion", "created": 1, "model": request["model"], "choices": [choice]}
        body = json.dumps(good if status == 200 else {"error": {"message": "the prompt is too long"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    monkeypatch.setattr(Server, "asked", [])
    monkeypatch.setattr(Server, "refuse", {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1"
    http.shutdown()
    thread.join()
    http.server_close()


def test_any_openai_compatible_server_will_do(server):
    chat = load_translator(f"chat:{server}#a/model", HYE)
    items = [(f"title {n}", f"body {n}") for n in range(20)]
    assert list(chat.translate(items)) == [(f"TITLE {n}", f"BODY {n}") for n in range(20)]
    path, key, request = Server.asked[0]
    assert (path, key, request["model"], request["temperature"]) == (
        "/v1/chat/completions",
        "Bearer none",
        "a/model",
        0,
    )
    assert chat.identity["chat"] == {"url": server, "model": "a/model"}


def test_the_key_comes_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    chat = load_translator(f"chat:{server}", HYE)
    assert list(chat.translate([("a", "b")])) == [("A", "B")]
    assert Server.asked[0][1] == "Bearer a-key"
    assert "a-key" not in str(chat.identity)


def test_one_refused_request_is_one_rejected_row(server):
    Server.refuse = {"too long a body": 400}
    items = [("a", "b")] * 20 + [("c", "too long a body"), ("d", "e")]
    results = list(load_translator(f"chat:{server}", HYE).translate(items))
    assert [n for n, result in enumerate(results) if isinstance(result, Unusable)] == [20]
    assert results[20].reason == "refused by the server"
    assert "the prompt is too long" in results[20].raw


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_a_server_that_refuses_everything_stops_the_run(server, status):
    Server.refuse = {"Translate": status}
    with pytest.raises(InputError, match=r"the prompt is too long.*check the server, its address"):
        list(load_translator(f"chat:{server}", HYE).translate([("a", "b")] * 3))


def test_a_server_that_is_not_there_stops_the_run(monkeypatch):
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"gave no answer .*check the server"):
        list(load_translator("chat:http://127.0.0.1:9/v1", HYE, timeout=2).translate([("a", "b")]))


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


def test_llama_cpp_names_its_extra_where_it_is_missing(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    try:
        import haystack_integrations.components.generators.llama_cpp  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match=r'pip install "haystack-lrl\[llama-cpp\]"'):
            load_translator(f"chat:{file}", HYE)
    else:
        assert load_translator(f"chat:{file}", HYE).identity["chat"]["model"] == "model.gguf"


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
    chat = load_translator(f"chat:{folder}", HYE)
    chat.generator.generation_kwargs["max_new_tokens"] = 20
    results = list(chat.translate([("a cat", "a dog"), ("one", "two")]))
    assert [result.reason for result in results] == ["unparseable answer"] * 2
    assert all(result.raw for result in results)
    assert set(chat.identity["chat"]) == {"model", "weights"}

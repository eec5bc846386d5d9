"""Chat models by name: a server, a serialised Haystack component, a GGUF file or a folder of weights."""

import inspect
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.synthesis.chat import ChatModel, first_line
from haystack_lrl.synthesis.identity import weights
from haystack_lrl.synthesis.llama_server import SLOTS, LlamaServer, find_llama_server
from haystack_lrl.synthesis.loras.adapters import CONFIG, check_adapter, identify_base

if TYPE_CHECKING:
    from haystack.components.generators.chat.types import ChatGenerator

logger = logging.getLogger(__name__)

_SERVER_WORKERS = 8  # requests at a time: servers answer several together in little more time than one
_HEADER = 16 * 2**20  # bytes of a GGUF file that hold its metadata, vocabulary included
_HELLO = 10.0  # seconds in which a server must say which models it has
_NEW_TOKENS = 2048  # a passage of 512 English tokens in a script that the model spells out


def load_chat(spec: str, *, timeout: float = 600.0) -> ChatModel:
    """Return a chat model from the ways to name one.

    :param spec: http://HOST:PORT/v1 or http://HOST:PORT/v1#MODEL of an OpenAI-compatible server, FILE.yaml with a
        serialised generator, FILE.gguf for llama.cpp, or the FOLDER of a transformers model or a LoRA of one.
    :param timeout: seconds without an answer after which a server counts as hung.
    :raises InputError: when there is no such thing, or it is no chat model.
    :raises MissingExtraError: when the package that runs it is not installed.
    """
    path = Path(spec)
    if spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        return _server(url, model, timeout)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return ChatModel(_from_yaml(path))
    if path.suffix == ".gguf" and path.is_file():
        return _gguf(path, timeout)
    if path.is_dir():
        return _transformers(path)
    raise InputError(
        f"The chat model {spec} is not there: give http://HOST:PORT/v1#MODEL, or the path of a .yaml file with a "
        "serialised chat generator, of a .gguf file, or of a model's folder."
    )


def _server(url: str, model: str, timeout: float) -> ChatModel:
    reported = _reported(url, model, timeout)
    name = model or reported.get("id") or "default"
    identity = {"model": name, "reported": reported} if reported else {"model": name, "url": url}
    return ChatModel(_client(url, name, timeout), model=identity, workers=_SERVER_WORKERS)


def _client(url: str, model: str, timeout: float) -> "ChatGenerator":
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.utils import Secret

    # the client tries again, later and later, on 429, 5xx, lost connections and timeouts
    options = {"temperature": 0, "max_completion_tokens": _NEW_TOKENS}
    return OpenAIChatGenerator(
        api_key=_key(Secret), model=model, api_base_url=url, timeout=timeout, generation_kwargs=options
    )


def _key(secret: Any) -> Any:  # noqa: ANN401 - Haystack's Secret, whose module is heavy
    """Return the key of the environment, or one that local servers, which want none, do not read."""
    return secret.from_env_var("OPENAI_API_KEY") if os.environ.get("OPENAI_API_KEY") else secret.from_token("none")


def _reported(url: str, model: str, timeout: float) -> dict[str, Any]:
    """Return what a server says of its model; nothing where it has no list of models.

    :raises InputError: when there is no server.
    """
    import httpx

    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY') or 'none'}"}
    try:
        answer = httpx.get(f"{url.rstrip('/')}/models", headers=headers, timeout=min(timeout, _HELLO))
        rows = answer.json()["data"] if answer.status_code == httpx.codes.OK else []
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InputError(
            f"The chat server {url} gave no answer ({first_line(error)}): start it, or correct its address."
        ) from error
    except (ValueError, KeyError, TypeError):  # some other server's page
        rows = []
    rows = [row for row in rows if isinstance(row, dict)]
    row = next((row for row in rows if row.get("id") == model), rows[0] if rows and not model else {})
    return {name: value for name, value in row.items() if name in {"id", "owned_by", "meta"}}


def _from_yaml(path: Path) -> "ChatGenerator":
    """Load a component as a pipeline would, so that Haystack's allowlist of modules holds."""
    from haystack.core.errors import DeserializationError
    from haystack.utils import deserialize_chatgenerator_inplace

    # what components raise when their parameters are not what they expect
    wrong = (DeserializationError, ImportError, TypeError, ValueError, LookupError, AttributeError)
    try:
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
        tree = {"chat_generator": {"init_parameters": {}, **row} if isinstance(row, dict) else row}
        deserialize_chatgenerator_inplace(tree)
    except (yaml.YAMLError, *wrong) as error:
        raise InputError(
            f"{path} is not a serialised chat generator ({first_line(error)}): write its type: and init_parameters:, "
            "as generator.to_dict() gives them."
        ) from error
    generator: Any = tree["chat_generator"]
    if "messages" not in inspect.signature(getattr(generator, "run", object)).parameters:
        raise InputError(
            f"{path} holds a {type(generator).__name__}, which is not a chat generator: name one as its type."
        )
    loaded: ChatGenerator = generator
    return loaded


def _gguf(path: Path, timeout: float) -> ChatModel:
    """Serve the file with llama-server where there is one, otherwise run llama.cpp inside this process."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if not head.startswith(b"GGUF"):
        raise InputError(f"{path} is not a GGUF file: download or convert the model again.")
    if b"tokenizer.chat_template" not in head:
        logger.warning("%s has no chat template: expect poor answers unless it is tuned to follow instructions", path)
    program = find_llama_server()
    if program:
        server = LlamaServer(program, path)
        client = _client(server.url, path.name, timeout)
        return ChatModel(client, model=weights(path), workers=SLOTS, start=server.start)
    return ChatModel(_llama_cpp(path), model=weights(path))


def _llama_cpp(path: Path) -> "ChatGenerator":
    try:
        from haystack_integrations.components.generators.llama_cpp import LlamaCppChatGenerator
    except ImportError as error:
        raise MissingExtraError(
            'GGUF models need llama-server on the PATH or in LLAMA_SERVER, or pip install "haystack-lrl[llama-cpp]"'
        ) from error
    generator: ChatGenerator = LlamaCppChatGenerator(
        model=str(path), n_ctx=0, generation_kwargs={"temperature": 0, "max_tokens": _NEW_TOKENS}
    )
    return generator


def _transformers(path: Path) -> ChatModel:
    """Run a model's folder, or that of a LoRA, whose base is then loaded with it."""
    try:
        from haystack_integrations.components.generators.transformers import TransformersChatGenerator
    except ImportError as error:
        raise MissingExtraError('Chat models in a folder need pip install "haystack-lrl[transformers]"') from error
    from transformers import AutoConfig, AutoTokenizer

    adapter = check_adapter(path) if (path / CONFIG).is_file() else None
    base = adapter.base if adapter else path
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        room = getattr(AutoConfig.from_pretrained(base), "max_position_embeddings", None) or tokenizer.model_max_length
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be loaded as a model ({first_line(error)}): give a chat model's folder."
        ) from error
    if not tokenizer.chat_template:
        raise InputError(
            f"{path} has no chat template, so it is not a chat model: use one that is tuned to follow instructions."
        )
    new = min(_NEW_TOKENS, room // 2)
    # the template already writes the special tokens; and a LoRA's template lies with it, not with its base
    options = {"do_sample": False, "max_new_tokens": new, "add_special_tokens": False}
    generator: ChatGenerator = TransformersChatGenerator(
        model=str(path),
        task="text-generation",
        generation_kwargs=options,
        huggingface_pipeline_kwargs={"tokenizer": str(path)},
    )
    base_identity = {"base": adapter.base_fingerprint or identify_base(adapter.base)} if adapter else {}
    identity = {**weights(path), **base_identity}
    return ChatModel(generator, model=identity, fits=lambda text: len(tokenizer(text)["input_ids"]) <= room - new)

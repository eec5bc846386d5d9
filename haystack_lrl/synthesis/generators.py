"""Chat models by name: a server, a serialised Haystack component, a GGUF file or a folder of weights."""

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.synthesis.chat import ChatTranslator, first_line

if TYPE_CHECKING:
    from haystack.components.generators.chat.types import ChatGenerator

_SERVER_WORKERS = 8  # requests at a time: servers answer several together in little more time than one
_NEW_TOKENS = 2048  # a passage of 512 English tokens in a script that the model spells out


def load_chat(spec: str, language: Language, *, timeout: float = 600.0) -> ChatTranslator:
    """Return a translator from the four ways to name a chat model.

    :param spec: http://HOST:PORT/v1 or http://HOST:PORT/v1#MODEL of an OpenAI-compatible server, FILE.yaml with a
        serialised generator, FILE.gguf for llama.cpp, or the FOLDER of a transformers model.
    :param timeout: seconds without an answer after which a server counts as hung.
    :raises InputError: when there is no such thing, or it is no chat model.
    :raises MissingExtraError: when the package that runs it is not installed.
    """
    path = Path(spec)
    if spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        named = {"url": url, "model": model}
        return ChatTranslator(_server(url, model, timeout), language, model=named, workers=_SERVER_WORKERS)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return ChatTranslator(_from_yaml(path), language)
    if path.suffix == ".gguf" and path.is_file():
        return ChatTranslator(_llama_cpp(path), language, model=_weights(path))
    if path.is_dir():
        return ChatTranslator(_transformers(path), language, model=_weights(path))
    raise InputError(
        f"The chat model {spec} is not there: give http://HOST:PORT/v1#MODEL, or the path of a .yaml file with a "
        "serialised chat generator, of a .gguf file, or of a model's folder."
    )


def _weights(path: Path) -> dict[str, str]:
    return {"model": path.name, "weights": fingerprint(path)}


def _server(url: str, model: str, timeout: float) -> "ChatGenerator":
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.utils import Secret

    # local servers want no key, but the client wants one
    key = Secret.from_env_var("OPENAI_API_KEY") if os.environ.get("OPENAI_API_KEY") else Secret.from_token("none")
    return OpenAIChatGenerator(
        api_key=key, model=model or "default", api_base_url=url, timeout=timeout, generation_kwargs={"temperature": 0}
    )


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


def _llama_cpp(path: Path) -> "ChatGenerator":
    try:
        from haystack_integrations.components.generators.llama_cpp import LlamaCppChatGenerator
    except ImportError as error:
        raise MissingExtraError('GGUF models need llama.cpp: run pip install "haystack-lrl[llama-cpp]"') from error
    generator: ChatGenerator = LlamaCppChatGenerator(
        model=str(path), n_ctx=0, generation_kwargs={"temperature": 0, "max_tokens": _NEW_TOKENS}
    )
    return generator


def _transformers(path: Path) -> "ChatGenerator":
    try:
        from haystack_integrations.components.generators.transformers import TransformersChatGenerator
    except ImportError as error:
        raise MissingExtraError('Chat models in a folder need pip install "haystack-lrl[transformers]"') from error
    from transformers import AutoTokenizer

    try:
        template = AutoTokenizer.from_pretrained(path).chat_template
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be loaded as a model ({first_line(error)}): give a chat model's folder."
        ) from error
    if not template:
        raise InputError(
            f"{path} has no chat template, so it is not a chat model: use one that is tuned to follow instructions."
        )
    kwargs = {"do_sample": False, "max_new_tokens": _NEW_TOKENS}
    generator: ChatGenerator = TransformersChatGenerator(
        model=str(path), task="text-generation", generation_kwargs=kwargs
    )
    return generator

"""Exported models: a folder with a graph, its tokenizer and its manifest, encoded without torch's own kernels."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from haystack_lrl.encoding.encoder import Role, SentenceEncoder, Vectors
from haystack_lrl.encoding.hardware import Precision
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import write_json

Format = Literal["openvino-fp32", "openvino-bf16", "openvino-int8", "openvino-int8-weights", "onnx-fp32", "onnx-int8"]
Inputs = dict[str, npt.NDArray[np.int64]]

FORMATS: tuple[Format, ...] = get_args(Format)
MANIFEST = "export.json"
GRAPHS = {"openvino": "openvino/openvino_model.xml", "onnx": "onnx/model.onnx"}  # where sentence-transformers looks
OUTPUT = "sentence_embedding"

_VERSION = 1
_CHUNK = 4096  # texts sorted at a time: little padding is left, and memory does not grow with the corpus
_BATCH_TOKENS = 1024  # padding included; on one core the fastest of 256 to 8,192, since activations stay in its cache
_CHARACTERS = 8  # of a token, more than most have: the head of a long text that is tokenised first


@dataclass(frozen=True)
class Manifest:
    """What `export.json` says of an exported model.

    :param prompts: put before queries and passages.
    :param max_length: tokens after which a text is cut.
    :param source: fingerprint of the model that was exported; its name where it has no folder.
    :param calibration: texts that the ranges of 8-bit activations were taken from.
    :param versions: of the libraries that wrote it.
    :param gate: what the export costs on the dev set; None where nothing measured it.
    """

    format: Format
    prompts: Mapping[Role, str]
    max_length: int
    dimensions: int
    source: str
    calibration: int
    versions: Mapping[str, str]
    gate: Mapping[str, Any] | None

    @property
    def runtime(self) -> str:
        """`openvino` or `onnx`."""
        return self.format.partition("-")[0]

    @property
    def weights(self) -> str:
        """`fp32`, `bf16`, `int8` or `int8-weights`."""
        return self.format.partition("-")[2]

    def write(self, folder: Path) -> None:
        """Write `export.json`."""
        write_json(folder / MANIFEST, {"version": _VERSION, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read `export.json`.

        :raises InputError: when the folder has none, or one that this version does not understand.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(
                f"{folder} is not an exported model (it has no {MANIFEST}): run haystack-lrl export first."
            )
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            manifest = cls(**{field.name: tree[field.name] for field in fields(cls)})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}): export the model again.") from error
        if tree.get("version") != _VERSION or manifest.format not in FORMATS:
            raise InputError(f"{path} is of another version of haystack-lrl: export the model again.")
        return manifest


class Graph(Protocol):
    """A compiled model: token ids to vectors."""

    names: frozenset[str]
    """Its inputs: `input_ids`, `attention_mask` and, in some models, `token_type_ids`."""
    alone: bool
    """Whether texts must not share a batch, since a text's vector would depend on its neighbours."""
    step: int
    """A text by itself is padded to a multiple of so many tokens."""

    def run(self, batches: Iterable[Inputs]) -> list[Vectors]:
        """Return the vectors of each batch, in order, not normalised; every input is of shape (texts, tokens)."""


class ExportedEncoder:
    """An exported model with its prompts: the same vectors as the `SentenceTransformer` it was made of.

    Texts are sorted by length, so that a batch has little padding. Calls from several threads wait for each other:
    one call already keeps all cores busy.

    :param batch_tokens: most tokens of a batch, padding included.
    """

    def __init__(
        self, graph: Graph, tokenizer: PreTrainedTokenizerBase, manifest: Manifest, *, batch_tokens: int = _BATCH_TOKENS
    ) -> None:
        self.graph = graph
        self.tokenizer = tokenizer
        self.manifest = manifest
        self.prompts = dict(manifest.prompts)
        self.max_length = manifest.max_length
        self._batch_tokens = 0 if graph.alone else batch_tokens
        self._busy = threading.Lock()  # tokenizers and requests are shared

    def encode(self, texts: Sequence[str], role: Role) -> Vectors:
        """Return one unit vector a text, shape (texts, dimensions), float32."""
        return unit(self.encode_raw(texts, role))

    def encode_raw(self, texts: Sequence[str], role: Role) -> Vectors:
        """Return one vector a text, shape (texts, dimensions), float32, of the length that the model gave it."""
        vectors = np.zeros((len(texts), self.manifest.dimensions), dtype=np.float32)
        prompt = self.prompts[role]
        for start in range(0, len(texts), _CHUNK):
            chunk = [prompt + text for text in texts[start : start + _CHUNK]]
            with self._busy:
                self._encode(chunk, vectors[start : start + _CHUNK])
        return vectors

    def _encode(self, texts: Sequence[str], vectors: Vectors) -> None:
        tokens = self._cut_tokens(texts)
        batches = list(by_length([len(ids) for ids in tokens], self._batch_tokens))
        outputs = self.graph.run(self._inputs([tokens[row] for row in rows]) for rows in batches)
        for rows, output in zip(batches, outputs, strict=True):
            vectors[rows] = output

    def _inputs(self, tokens: Sequence[Sequence[int]]) -> Inputs:
        """Pad on the right, whatever the tokenizer does: on the left, positions would depend on the other texts."""
        longest = max(map(len, tokens))
        if len(tokens) == 1:
            longest = max(longest, min(self.max_length, -(-longest // self.graph.step) * self.graph.step))
        shape = (len(tokens), longest)
        ids = np.full(shape, self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, own in enumerate(tokens):
            ids[row, : len(own)], mask[row, : len(own)] = own, 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, dtype=np.int64)}
        return {name: inputs[name] for name in self.graph.names}

    def _cut_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens that the model reads of each text, without tokenising all of a long one.

        Tokens do not cross white space, so that a head which fills the model's input gives those of the whole text.
        """
        heads = [_head(text, self.max_length * _CHARACTERS) for text in texts]
        if self.tokenizer.truncation_side != "right":
            heads = list(texts)
        tokens = self._tokens(heads, truncation=True, max_length=self.max_length)
        short = [
            row
            for row, (head, text, ids) in enumerate(zip(heads, texts, tokens, strict=True))
            if len(head) < len(text) and len(ids) < self.max_length
        ]
        whole = self._tokens([texts[row] for row in short], truncation=True, max_length=self.max_length)
        for row, ids in zip(short, whole, strict=True):
            tokens[row] = ids
        return tokens

    def _tokens(self, texts: Sequence[str], **settings: Any) -> list[list[int]]:  # noqa: ANN401 - the tokenizer's
        if not texts:
            return []
        wanted = {"padding": False, "return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        return cast(list[list[int]], self.tokenizer(list(texts), **wanted, **settings)["input_ids"])

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, uncut, without special tokens and prompt."""
        with self._busy:
            return [len(ids) for ids in self._tokens(texts, add_special_tokens=False, truncation=False)]

    @property
    def passage_budget(self) -> int:
        """Tokens of text that a passage may have before the model cuts it."""
        special = self.tokenizer.num_special_tokens_to_add()
        return self.max_length - int(special) - self.token_counts([self.prompts["passage"]])[0]


def _head(text: str, size: int) -> str:
    """Return whole words of at most so many characters; the text where there is no white space to cut at."""
    if len(text) <= size:
        return text
    end = max(text.rfind(" ", 0, size), text.rfind("\n", 0, size))
    return text[:end] if end > 0 else text


def unit(vectors: Vectors) -> Vectors:
    """Divide each row by its length; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Vectors, vectors / np.maximum(norms, 1e-12))


def by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the positions of each batch, longest texts first; a text that fills a batch by itself is one."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def load_encoder(
    folder: Path, *, precision: Precision = "auto", threads: int | None = None
) -> SentenceEncoder | ExportedEncoder:
    """Load what the folder holds: an exported model in its runtime, or a SentenceTransformer in torch.

    :param precision: `fp32` or `bf16` for what is not in 8 bits; by default what the export was made for, where the
        machine is fast at it.
    :param threads: cores to use; those of this process by default.
    :raises InputError: when the folder holds neither, or the export is damaged.
    :raises MissingExtraError: when its runtime is not installed.
    """
    if not (folder / MANIFEST).is_file():
        return SentenceEncoder.from_path(folder, precision=precision)
    return load_exported(folder, precision=precision, threads=threads)


def load_exported(folder: Path, *, precision: Precision = "auto", threads: int | None = None) -> ExportedEncoder:
    """Load an exported model; parameters and errors are those of `load_encoder`."""
    manifest = Manifest.read(folder)
    path = folder / GRAPHS[manifest.runtime]
    if not path.is_file():
        raise InputError(f"{folder} lacks {GRAPHS[manifest.runtime]}: export the model again.")
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    return ExportedEncoder(_compiled(path, manifest, precision, threads), tokenizer, manifest)


def _compiled(path: Path, manifest: Manifest, precision: Precision, threads: int | None) -> Graph:
    """Import only the runtime that is needed."""
    if manifest.runtime == "onnx":
        from haystack_lrl.encoding.onnx import ONNXGraph

        return ONNXGraph(path, alone=manifest.weights == "int8", threads=threads)
    from haystack_lrl.encoding.openvino import OpenVINOGraph

    asked = "fp32" if precision == "auto" and manifest.weights == "fp32" else precision
    return OpenVINOGraph(path, precision=asked, threads=threads)

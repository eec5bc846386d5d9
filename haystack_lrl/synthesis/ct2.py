"""The same translation models through CTranslate2, in 8 bits on a CPU: two to three times as fast."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.synthesis.ct2_folder import load_tokenizer, load_vocabularies
from haystack_lrl.synthesis.sentencewise import MOST_POSITIONS, Sentencewise, Tokens, most_new_tokens
from haystack_lrl.synthesis.targets import DirectedTokenizer
from haystack_lrl.synthesis.translator import Texts, Unusable

Device = Literal["cpu", "cuda"]

# by device, best first; T5's kin, MADLAD among them, overflow in float16 (OpenNMT/CTranslate2 issue 1074)
_COMPUTE_TYPES = {"cpu": ("int8", "float32"), "cuda": ("bfloat16", "float16", "float32")}
_BATCH_TOKENS = {"cpu": 1024, "cuda": 4096}
_WORKERS = 4  # batches at a time on a CPU at most, rather than more threads a batch, which wait for each other
# with 1, its default, the search ends before better hypotheses are finished and other words come out than transformers'
_PATIENCE = 2


class CT2Translator:
    """Translate with a converted encoder-decoder model, which is loaded when it is first used.

    :param folder: what ct2-transformers-converter made, with the files of the model's tokenizer; an OpenNMT model of
        characters needs none.
    :param spoken: what to translate into.
    :param num_beams: beams of the search.
    :param batch_tokens: input tokens a batch, padding included; by default what the device does fast.
    :param device: `cpu` or `cuda`; by default CUDA where there is one.
    :param compute_type: CTranslate2's name of a precision; by default int8 on a CPU, 16 bits on a GPU.
    :raises InputError: when there is no such model, it is of another kind, or it does not know the language.
    :raises MissingExtraError: when CTranslate2 is not installed.
    """

    def __init__(
        self,
        folder: Path,
        spoken: Language,
        *,
        num_beams: int = 1,
        batch_tokens: int | None = None,
        device: Device | None = None,
        compute_type: str | None = None,
    ) -> None:
        ctranslate2 = _import_ctranslate2()
        self.folder = folder
        self.num_beams = num_beams
        self.device: Device = device or ("cuda" if ctranslate2.get_cuda_device_count() else "cpu")
        self.compute_type = compute_type or _best_compute_type(self.device, folder)
        tokenizer = load_tokenizer(folder)
        self._tokenizer = DirectedTokenizer(tokenizer, spoken, str(folder))
        self._prefix = self._find_prefix()
        positions = min(tokenizer.model_max_length, MOST_POSITIONS)
        size = batch_tokens or _BATCH_TOKENS[self.device]
        self._sentencewise = Sentencewise(self._tokenizer.encode, self._generate, positions, size)
        self.identity: Mapping[str, Any] = {
            "ct2": folder.name,
            "weights": fingerprint(folder),
            "language": spoken.code,
            "num_beams": num_beams,
            "compute_type": self.compute_type,
        }

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item, in order; no text is cut to fit the model."""
        return self._sentencewise.translate(items)

    def _find_prefix(self) -> list[str]:
        """Return the tokens that output begins with: the language's, or none.

        :raises InputError: when the model does not have it, which CTranslate2 would pass over in silence.
        """
        number = self._tokenizer.target.token
        if number is None:
            return []
        token: str = self._tokenizer.own.convert_ids_to_tokens(number)
        if token not in load_vocabularies(self.folder)[1]:
            raise InputError(
                f"The tokenizer in {self.folder} is not that of the model, which lacks its token {token}: copy the "
                "files of the model's own tokenizer there."
            )
        return [token]

    def _generate(self, batches: Iterable[list[Tokens]]) -> Iterator[list[str]]:
        with _explained(self.folder):
            pending = [self._submit(batch) for batch in batches]
        for results in pending:
            with _explained(self.folder):
                outputs = [result.result().hypotheses[0] for result in results]
            written = [self._tokenizer.own.convert_tokens_to_ids(output[len(self._prefix) :]) for output in outputs]
            yield self._tokenizer.decode(written)

    def _submit(self, batch: list[Tokens]) -> list[Any]:
        """Hand a batch to the workers, and return what will hold its results."""
        results: list[Any] = self._loaded.translate_batch(
            [self._tokenizer.own.convert_ids_to_tokens(tokens) for tokens in batch],
            target_prefix=[self._prefix] * len(batch) if self._prefix else None,
            beam_size=self.num_beams,
            patience=_PATIENCE,
            max_decoding_length=most_new_tokens(len(batch[0]), self._sentencewise.positions),
            min_decoding_length=0,  # an empty translation stays one, as with transformers
            asynchronous=True,
        )
        return results

    @functools.cached_property
    def _loaded(self) -> Any:  # noqa: ANN401  CTranslate2 has no types
        import torch

        threads = torch.get_num_threads()  # OMP_NUM_THREADS, or the cores that this process may use
        workers = max(n for n in range(1, _WORKERS + 1) if threads % n == 0) if self.device == "cpu" else 1
        model = _import_ctranslate2().Translator(
            str(self.folder),
            device=self.device,
            compute_type=self.compute_type,
            inter_threads=workers,
            intra_threads=threads // workers,
            max_queued_batches=workers,  # an interrupted run waits for those
        )
        torch.set_num_threads(threads)  # loading lowers it for the whole process, with all that is trained later
        return model


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # CTranslate2 raises nothing finer
        raise InputError(
            f"CTranslate2 cannot run the model in {folder} ({str(error).splitlines()[0]}): convert it again with "
            "ct2-transformers-converter, or name another device or compute type."
        ) from error


def _import_ctranslate2() -> Any:  # noqa: ANN401  the module, which has no types
    try:
        import ctranslate2
    except ImportError as error:
        raise MissingExtraError('Translators of the kind ct2: need pip install "haystack-lrl[ct2]"') from error
    return ctranslate2


def _best_compute_type(device: Device, folder: Path) -> str:
    """Return the fastest precision that the device computes in and translations bear."""
    with _explained(folder):
        supported = _import_ctranslate2().get_supported_compute_types(device)
    return next(name for name in _COMPUTE_TYPES[device] if name in supported)

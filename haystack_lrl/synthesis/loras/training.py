"""Train one LoRA on transformers' trainer, resumable, and save it as a chat model."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments, set_seed

from haystack_lrl.encoding.hardware import pick_device
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.folders import last_whole_checkpoint, writing_folder
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.records.store import settings_hash
from haystack_lrl.synthesis.loras.adapters import RECORD, card, finished
from haystack_lrl.synthesis.loras.causal import Collator, Tokens, four_bits, linear_layers, load_base
from haystack_lrl.synthesis.loras.settings import LoraResult, LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase

_IDENTITY = "identity.json"  # beside the checkpoints
_CHECKPOINTS = 20  # in a whole training: what a killed one loses is a twentieth


@dataclass(frozen=True)
class Lesson:
    """What one adapter is made from, checked and ready.

    :param folder: where the adapter goes.
    :param record: what generator.json says beside the result.
    """

    folder: Path
    train: Sequence[Tokens]
    held_out: Sequence[Tokens]
    counts: Counts
    record: Mapping[str, Any]

    @property
    def checkpoints(self) -> Path:
        """Where the training keeps what it needs to go on, until it ends."""
        return self.folder.with_name(self.folder.name + ".checkpoints")

    @cached_property
    def identity(self) -> str:
        """What changes with everything that the adapter depends on."""
        tokens = settings_hash({"train": self.train, "held_out": self.held_out})
        return settings_hash({**self.record, "base": self.record["base"]["fingerprint"], "tokens": tokens})


def check_place(lesson: Lesson) -> None:
    """Check that nothing else is where an adapter and its checkpoints go.

    :raises InputError: when there is.
    """
    finished(lesson.folder, lesson.identity)
    begun = lesson.checkpoints / _IDENTITY
    if begun.is_file() and json.loads(begun.read_text(encoding="utf-8")) != lesson.identity:
        raise InputError(
            f"{lesson.checkpoints} holds the beginning of a training on other rows, base or settings: "
            "give another --output, or delete it to start again."
        )


def learn(
    lesson: Lesson, tokenizer: "PreTrainedTokenizerBase", settings: LoraSettings, *, progress: bool
) -> LoraResult:
    """Train and save an adapter whose place was checked, unless it is there already."""
    earlier = finished(lesson.folder, lesson.identity)
    if earlier:
        return LoraResult(**earlier["result"])
    write_json(lesson.checkpoints / _IDENTITY, lesson.identity)
    quantised = settings.quantise and four_bits()
    model = _with_lora(lesson.record["base"]["name"], settings, quantised=quantised)
    trainer = Trainer(
        model=model,
        args=_arguments(len(lesson.train), lesson.checkpoints, settings, bf16=quantised),
        train_dataset=lesson.train,
        eval_dataset=lesson.held_out,
        data_collator=Collator(padding=tokenizer.eos_token_id),
        callbacks=[_Bar()] if progress else None,
    )
    trainer.remove_callback(PrinterCallback)
    before = trainer.evaluate()["eval_loss"]
    start = time.monotonic()
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(lesson.checkpoints))
    seconds = time.monotonic() - start
    result = LoraResult(
        rows=lesson.counts.to_json(),
        held_out=len(lesson.held_out),
        loss_before=round(before, 4),
        loss_after=round(trainer.evaluate()["eval_loss"], 4),
        seconds=round(seconds, 1),
        steps=trainer.state.global_step,
        base=lesson.record["base"]["fingerprint"],
    )
    _save(lesson, result, model, tokenizer, quantised=quantised)
    shutil.rmtree(lesson.checkpoints)
    return result


class _Bar(ProgressCallback):
    """The trainer's bar without its logs, which would go to standard output."""

    def on_log(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the trainer's signature
        """Say nothing."""


def _with_lora(base: str, settings: LoraSettings, *, quantised: bool) -> "PeftModel":
    """Return the base with an adapter that does nothing yet."""
    from peft import LoraConfig, get_peft_model

    model = load_base(base, quantised=quantised)
    everywhere = settings.target_modules == "all-linear"
    set_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=linear_layers(model) if everywhere else list(settings.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
    adapted: PeftModel = get_peft_model(model, config)
    return adapted


def _arguments(rows: int, checkpoints: Path, settings: LoraSettings, *, bf16: bool) -> TrainingArguments:
    batches = -(-rows // settings.batch_size)
    steps = -(-batches // settings.accumulation) * settings.epochs
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=1,  # a mean over examples, whatever their lengths and the batch
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=int(settings.warmup * steps),  # rounded down: the first warm-up step has rate 0
        max_grad_norm=settings.max_grad_norm,
        bf16=bf16,
        use_cpu=pick_device() == "cpu",
        seed=settings.seed,
        save_strategy="steps",
        save_steps=max(1, steps // _CHECKPOINTS),
        save_total_limit=2,
        logging_strategy="no",
        prediction_loss_only=True,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )


def _save(
    lesson: Lesson, result: LoraResult, model: "PeftModel", tokenizer: "PreTrainedTokenizerBase", *, quantised: bool
) -> None:
    record = {**lesson.record, "quantised": quantised, "identity": lesson.identity, "result": result.to_json()}
    with writing_folder(lesson.folder) as partial:
        model.save_pretrained(str(partial), save_embedding_layers=False)
        tokenizer.save_pretrained(str(partial))
        write_json(partial / RECORD, record)
        (partial / "README.md").write_text(card(record), encoding="utf-8")  # in place of PEFT's form to fill in

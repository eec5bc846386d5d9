"""A tiny real Llama and its tokenizer, made on the spot."""

from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
_TEXTS = [
    "Below is a text in English. Write one sentence in English that is certainly true if the text is true.",
    "Use other words where you can and add no facts. Answer with that sentence alone. about the same things, in much",
    "the same words, that cannot be true if the text is true. user assistant: Tom has a red ball and no dog. He was",
]


def build_tiny_llama(folder: Path, *, template: str | None = TEMPLATE, width: int = 32, seed: int = 0) -> Path:
    """Save a 2-layer Llama with random weights, with or without a chat template."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        _TEXTS * 3, vocab_size=500, min_frequency=1, special_tokens=["<s>", "</s>", "<unk>"], show_progress=False
    )
    trained._tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.2,  # wide enough for the logits to depend on what was read
    )
    model = LlamaForCausalLM(config)
    model.lm_head.weight.data *= 4  # of length enough for a LoRA below it to make one token likely
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

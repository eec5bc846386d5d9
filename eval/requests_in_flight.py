"""Rows per minute through a chat server: several requests in flight against one at a time, same server, same rows.

Usage:
    LLAMA_SERVER=PATH python eval/requests_in_flight.py --model FILE.gguf --output eval/results/requests_in_flight.json

llama-server runs with 4 slots on this machine. The loop asks one question, waits for the answer and asks the next, as
a `for` over a ChatGenerator does; `in flight` is what the commands do. Rounds alternate. Answers have a fixed number
of tokens, so that both do the same work.
"""

import argparse
import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.generators import load_chat
from haystack_lrl.synthesis.llama_server import SLOTS


def rows_per_second(chat: ChatModel, workers: int, rows: int, first: int) -> float:
    """Ask that many questions, none of which the server has seen before."""
    model = ChatModel(chat.generator, model=chat.identity, workers=workers)
    start = time.monotonic()
    for _ in model.answers(
        Question(f"{n} {'Once upon a time there was a cat. ' * 6}") for n in range(first, first + rows)
    ):
        pass
    return rows / (time.monotonic() - start)


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=200, help="of each answer")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chat = load_chat(options.model)
    limit = {"max_completion_tokens": options.tokens, "extra_body": {"ignore_eos": True}}
    chat.generator.generation_kwargs |= limit
    chat.warm_up()
    rates: dict[str, list[float]] = {"one at a time": [], "in flight": []}
    rows_per_second(chat, SLOTS, SLOTS, 10**6)
    for number in range(options.rounds):
        for place, (name, workers) in enumerate((("one at a time", 1), ("in flight", chat.workers))):
            rates[name].append(rows_per_second(chat, workers, options.rows, (2 * number + place) * options.rows))
            print(name, round(rates[name][-1], 2), flush=True)
    ratios = [many / one for one, many in zip(rates["one at a time"], rates["in flight"], strict=True)]
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {n: version(n) for n in ("haystack-ai", "openai")} | {"python": sys.version.split()[0]},
        "model": Path(options.model).name,
        "slots": SLOTS,
        "rows": options.rows,
        "tokens": options.tokens,
        "rows_per_second": rates,
        "ratio": {"median": statistics.median(ratios), "rounds": ratios},
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome["ratio"], indent=2))


if __name__ == "__main__":
    main()

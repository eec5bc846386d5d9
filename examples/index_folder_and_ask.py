"""Index a folder of documents and ask it in your language.

    python examples/index_folder_and_ask.py documents "Kiel protekti tomatojn kontraŭ pluvo?" \
        --language epo --model runs/epo/model

Text, Markdown, HTML, PDF and DOCX are read, cut into passages that the model reads whole, embedded, and kept in the
folder `index`; the next time, only new and changed files are embedded. It prints the best passages, or with
`--generator` (http://localhost:8080/v1#MODEL, FILE.gguf, FOLDER or GENERATOR.yaml) an answer with its sources.
"""

import argparse
from pathlib import Path
from typing import Any

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.synthesis.generators import load_chat
from pipelines.answering import ask, build_rag
from pipelines.indexing import index_documents
from pipelines.reading import read_documents
from pipelines.retrieval import build_search, search, search_parts
from pipelines.stores import Place, open_store, save_store

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("question")
parser.add_argument("--language", default="epo")
parser.add_argument("--model", default="runs/epo/model")
parser.add_argument("--index", default="index")
parser.add_argument("--generator")
options = parser.parse_args()

place = Place("memory", options.language, Path(options.model), options.index)
store = open_store(place, create=True)
counts = index_documents(
    read_documents([options.folder]),
    splitter=LRLDocumentSplitter(options.language, options.model),
    embedder=LRLDocumentEmbedder(options.model, backend="auto", progress_bar=False),
    writer=LRLDocumentWriter(store),
)
save_store(place, store)
print(f"{counts.read} documents read, {counts.written} passages written, {counts.existing} were there before\n")

parts: dict[str, Any] = search_parts(store, LRLTextEmbedder(options.model, backend="auto", progress_bar=False))
if options.generator:
    chat = load_chat(options.generator)
    answer = ask(build_rag(language=options.language, generator=chat.generator, **parts), options.question)
    print(answer.data)
    for source in answer.meta["sources"]:
        print(f"  [{source['number']}] {source['content'][:100]}")
else:
    for document in search(build_search(**parts), options.question, top_k=3).documents:
        where = document.meta.get("file_path", document.meta["source_id"])
        print(f"{document.score:.3f}  {where}  {(document.content or '')[:100]}")

"""Ask in your language, and find English documents, your language's own, or both, in one index.

    python examples/cross_lingual.py "Kiel protekti tomatojn kontraŭ pluvo?" --language epo --model runs/epo/model

Words do not match across languages, so it searches by vectors alone: BM25 would bring up the question's own language.
Your own documents come by `read_documents([Path("corpus.jsonl")])`, whose lines then have a column `language`.
"""

import argparse

from haystack import Document

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from pipelines.retrieval import build_search, search, search_parts
from pipelines.stores import empty_memory

DOCUMENTS = [
    Document(content="A plastic roof over the tomatoes keeps the rain off their leaves.", meta={"language": "eng"}),
    Document(content="The night train to Prague leaves at ten.", meta={"language": "eng"}),
    Document(content="Bees dry the nectar with their wings.", meta={"language": "eng"}),
    Document(content="Tegmento el plasto super la tomatoj tenas la foliojn sekaj.", meta={"language": "epo"}),
    Document(content="La nokta trajno al Prago ekveturas je la deka.", meta={"language": "epo"}),
    Document(content="Abeloj sekigas la nektaron per siaj flugiloj.", meta={"language": "epo"}),
]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("question", nargs="?", default="Kiel protekti tomatojn kontraŭ pluvo?")
parser.add_argument("--language", default="epo")
parser.add_argument("--model", default="runs/epo/model")
options = parser.parse_args()

store = empty_memory(options.language)
store.write_documents(LRLDocumentEmbedder(options.model, progress_bar=False).run(DOCUMENTS)["documents"])
pipeline = build_search(**search_parts(store, LRLTextEmbedder(options.model, progress_bar=False), "dense"))

print(options.question)
for sought in (["eng"], [options.language], ["eng", options.language]):
    # a filter narrows the search before it ranks: all that is found passes it
    only = {"field": "meta.language", "operator": "in", "value": sought}
    print(f"\n{' and '.join(sought)}:")
    for document in search(pipeline, options.question, filters=only, top_k=3).documents:
        print(f"  {document.score:.3f}  {document.meta['language']}  {document.content}")

"""Documents as numbered sources of a prompt."""

import json

from haystack import Document, component

from haystack_lrl.synthesis.translator import one_line


@component
class LRLSourcesBuilder:
    """Number the best documents and write each as a JSON object on one line.

    In JSON, no text can end its own quotation: a document that holds a line of a prompt is still one text. Without a
    document there are no sources, so that a prompt builder behind it does not run, and no chat model is asked.

    :param top_k: most sources.
    :param max_characters: most characters of a source; documents are better split before they are indexed.
    :raises ValueError: when either is below 1.
    """

    def __init__(self, top_k: int = 5, max_characters: int = 4000) -> None:
        if top_k < 1 or max_characters < 1:
            raise ValueError(f"top_k is {top_k} and max_characters {max_characters}: both must be 1 or more.")
        self.top_k = top_k
        self.max_characters = max_characters

    @component.output_types(documents=list[Document], sources=str)
    def run(self, documents: list[Document], top_k: int | None = None) -> dict[str, list[Document] | str]:
        """Give documents numbers in their order; those without text are left out.

        :param top_k: in place of the component's own.
        :returns: the `documents` that are sources, and `sources`, one JSON object a line; not there without documents.
        :raises TypeError: when the input is not a list of Documents.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise TypeError("LRLSourcesBuilder numbers a list of Documents; for a text, use Document(content=...).")
        chosen = [each for each in documents if each.content and each.content.strip()][: top_k or self.top_k]
        if not chosen:
            return {"documents": []}
        return {"documents": chosen, "sources": "\n".join(self._line(n, each) for n, each in enumerate(chosen, 1))}

    @component.output_types(documents=list[Document], sources=str)
    async def run_async(self, documents: list[Document], top_k: int | None = None) -> dict[str, list[Document] | str]:
        """Do the same."""
        return self.run(documents, top_k)

    def _line(self, number: int, document: Document) -> str:
        title, text = document.meta.get("title"), one_line(document.content or "")
        heading = one_line(title) if isinstance(title, str) else ""
        row = {"title": heading} if heading and not text.startswith(heading) else {}
        return json.dumps({"number": number, **row, "text": text[: self.max_characters]}, ensure_ascii=False)

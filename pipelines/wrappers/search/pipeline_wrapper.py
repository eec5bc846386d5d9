"""Search, for hayhooks: POST /search/run, and a chat that answers with the passages themselves."""

from typing import Any

from hayhooks import BasePipelineWrapper

from pipelines.serving import Serving, asked_last, found_by, open_service, refusing


class PipelineWrapper(BasePipelineWrapper):  # type: ignore[misc]  # hayhooks has no types
    """Search in the documents that the environment names, see `pipelines.serving`."""

    # `pipeline` stays empty: hayhooks would offer to draw it, by a service on the web
    deployment_type = "pipeline"

    def setup(self) -> None:
        """Load the pipelines."""
        self.service = open_service(Serving.from_environment())

    def run_api(self, query: str, top_k: int = 10, filters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the passages that fit a query best, and both rankings.

        :param query: words or a question.
        :param top_k: the most passages that are returned.
        :param filters: on metadata, in Haystack's form.
        """
        with refusing():
            return found_by(self.service, query, top_k=top_k, filters=filters)

    def run_chat_completion(self, model: str, messages: list[dict[str, Any]], body: dict[str, Any]) -> str:  # noqa: ARG002
        """Return the passages that fit the last message, numbered."""
        with refusing():
            documents = found_by(self.service, asked_last(messages))["documents"]
        return "\n\n".join(f"[{row['rank']}] {row['title']}\n{row['content']}" for row in documents)

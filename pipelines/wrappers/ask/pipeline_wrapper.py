"""Answers with sources, for hayhooks: POST /ask/run, and the OpenAI-compatible chat."""

from typing import Any

from hayhooks import BasePipelineWrapper

from pipelines.serving import Serving, answered_by, asked_last, open_service, refusing


class PipelineWrapper(BasePipelineWrapper):  # type: ignore[misc]  # hayhooks has no types
    """Answer from the documents that the environment names, see `pipelines.serving`."""

    # `pipeline` stays empty: hayhooks would offer to draw it, by a service on the web
    deployment_type = "pipeline"

    def setup(self) -> None:
        """Load the pipelines."""
        self.service = open_service(Serving.from_environment())

    def run_api(self, query: str) -> dict[str, Any]:
        """Return an answer from the documents, with its sources.

        :param query: the question.
        """
        with refusing():
            return answered_by(self.service, query)

    def run_chat_completion(self, model: str, messages: list[dict[str, Any]], body: dict[str, Any]) -> str:  # noqa: ARG002
        """Return an answer to the last message, and below it the sources that it cites."""
        with refusing():
            result = answered_by(self.service, asked_last(messages))
        cited = [f"[{row['number']}] {row['title'] or row['content']}" for row in result["sources"] if row["cited"]]
        return "\n\n".join([result["answer"], *(["\n".join(cited)] if cited else [])])

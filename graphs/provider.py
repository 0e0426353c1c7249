"""`jobx/extractive` in the shape of a LiteLLM custom provider."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from graphs.extractive import answer
from graphs.support.context import Embed

_TOKEN = re.compile(r"\w+|[^\w\s]")


class ExtractiveProvider:
    """LiteLLM calls these two by name (https://docs.litellm.ai/docs/providers/custom_llm_server).

    LiteLLM has one map of providers for the whole process, so what differs from Router to Router, the embedder, comes
    as the Router's client for this model. A token of its usage is a word or a punctuation mark, as there is no
    vocabulary to count by.
    """

    async def acompletion(
        self, *, messages: Sequence[dict[str, Any]], model_response: Any, client: Embed | None = None, **_: object
    ) -> Any:
        """The whole answer in LiteLLM's own response object."""
        text, usage = await _answered(messages, client)
        model_response.choices[0].message.content = text
        for name, count in usage.items():
            setattr(model_response.usage, name, count)
        return model_response

    async def astreaming(
        self, *, messages: Sequence[dict[str, Any]], client: Embed | None = None, **_: object
    ) -> AsyncIterator[dict[str, Any]]:
        """The answer word by word, then a last chunk with the usage."""
        text, usage = await _answered(messages, client)
        for piece in re.findall(r"\S+\s*", text):
            yield {"text": piece, "is_finished": False, "finish_reason": "", "usage": None, "index": 0}
        yield {"text": "", "is_finished": True, "finish_reason": "stop", "usage": usage, "index": 0}


async def _answered(messages: Sequence[dict[str, Any]], embed: Embed | None) -> tuple[str, dict[str, int]]:
    text = await answer(str(messages[-1]["content"]), embed)
    prompt = sum(len(_TOKEN.findall(str(message["content"]))) for message in messages)
    completion = len(_TOKEN.findall(text))
    return text, {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

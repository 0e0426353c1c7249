"""A language model whose answers are kept on disk, so that the same question of a run is paid for once."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphs.llm import LanguageModel
from graphs.models import Completion, ModelConfig
from graphs.support.records import Usage

if TYPE_CHECKING:
    from langchain.messages import AnyMessage

# A second epoch asks again: what it is for is that a model does not always say the same.
epoch: ContextVar[int] = ContextVar("epoch", default=0)
_TABLE = "create table if not exists answers (key text primary key, text text, model text, usage text)"
_OWNER_ONLY = 0o600


class CachedModel(LanguageModel):
    """A `LanguageModel` that looks first whether it was asked the same before: models, messages, settings and epoch.

    `spent_micros` is what the calls cost that were made, `hits` how many were not. Without a path nothing is kept.
    """

    def __init__(self, models: Sequence[ModelConfig], path: Path | None, **means: Any) -> None:
        super().__init__(models, **means)
        self.spent_micros = self.calls = self.hits = 0
        self._places = tuple((model.name, model.api_base) for model in models)
        self._answers: sqlite3.Connection | None = None
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(_OWNER_ONLY)
            self._answers = sqlite3.connect(path, isolation_level=None)
            self._answers.execute(_TABLE)

    async def complete(
        self, messages: "Sequence[AnyMessage]", *, max_tokens: int, temperature: float = 0.0, models: Sequence[str] = ()
    ) -> Completion:
        """As `LanguageModel.complete`; a failure is not kept."""
        if self.is_extractive(models):
            return await super().complete(messages, max_tokens=max_tokens, temperature=temperature, models=models)
        asked = [(message.type, message.text) for message in messages]
        key = _key(self._places, list(models), asked, max_tokens, temperature, epoch.get())
        if (kept := self._kept(key)) is not None:
            self.hits += 1
            return kept
        completion = await super().complete(messages, max_tokens=max_tokens, temperature=temperature, models=models)
        self.calls += 1
        self.spent_micros += completion.usage.cost_micros
        self._keep(key, completion)
        return completion

    async def aclose(self) -> None:
        """Close the file, too."""
        await super().aclose()
        if self._answers is not None:
            self._answers.close()

    def _kept(self, key: str) -> Completion | None:
        if self._answers is None:
            return None
        row = self._answers.execute("select text, model, usage from answers where key = ?", (key,)).fetchone()
        return None if row is None else Completion(row[0], row[1], Usage(**json.loads(row[2])))

    def _keep(self, key: str, completion: Completion) -> None:
        if self._answers is not None:
            usage = completion.usage
            counts = [usage.prompt_tokens, usage.completion_tokens, usage.calls, usage.cost_micros]
            fields = ("prompt_tokens", "completion_tokens", "calls", "cost_micros")
            told = json.dumps(dict(zip(fields, counts, strict=True)))
            row = (key, completion.text, completion.model, told)
            self._answers.execute("insert or replace into answers values (?, ?, ?, ?)", row)


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()

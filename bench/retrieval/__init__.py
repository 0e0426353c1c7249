"""How well questions find their passages, beside two frameworks' defaults on the same embedding model."""

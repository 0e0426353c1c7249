"""The support agent's graph: screen, rewrite, retrieve, draft, check, then dispatch or hand off."""

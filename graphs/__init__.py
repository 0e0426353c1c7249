"""The agent: LangGraph state machines and the one door to the language models."""

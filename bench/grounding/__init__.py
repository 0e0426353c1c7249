"""How well groundedness tells right answers from others, on replies that were written for it."""

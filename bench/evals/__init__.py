"""`make evals`: the fixed suites, and public sets where they are at hand."""

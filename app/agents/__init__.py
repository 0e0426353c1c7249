"""A tenant's agents: who answers, in which tone, from which documents."""

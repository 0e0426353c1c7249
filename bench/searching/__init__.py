"""How fast a search is, and what it takes of the machine, as chunks and tenants grow."""

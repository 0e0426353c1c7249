"""Who is calling: API keys and their scopes, and the transaction a request runs in."""

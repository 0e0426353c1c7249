"""What the tenant's own programs are told of their conversations: a stream of changes, and outgoing webhooks."""

"""The front door for providers: verify, make durable, acknowledge."""

"""A tenant's knowledge: uploaded, read, indexed, replaced, found and deleted."""

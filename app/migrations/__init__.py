"""The schema's history (Alembic), the roles it needs, and the command that brings a database up to date."""

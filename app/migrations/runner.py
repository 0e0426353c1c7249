"""Brings a database up to date, and tells whether it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from app.db import OWNER_ROLE, DatabaseAddress
from app.migrations import roles


def migrate(admin: DatabaseAddress, app_password: str | None = None) -> None:
    """Make roles and schemas, then apply every migration that is missing.

    `admin` logs in as someone who may create roles; its `role` is not used.
    """
    plain = psycopg.conninfo.make_conninfo(admin.conninfo(), options="")
    with psycopg.connect(plain) as connection:
        roles.prepare(connection, app_password)
    _with_alembic(admin, lambda config: command.upgrade(config, "head"))


def check(admin: DatabaseAddress) -> None:
    """Raise alembic's CommandError when the models and the migrations differ."""
    _with_alembic(admin, command.check)


def draft(admin: DatabaseAddress, message: str) -> None:
    """Write a new migration file from the difference between the models and the database."""
    _with_alembic(admin, lambda config: command.revision(config, message, autogenerate=True))


def _with_alembic(admin: DatabaseAddress, action: Callable[[Config], object]) -> None:
    engine = create_engine(replace(admin, role=OWNER_ROLE).sqlalchemy_url())
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            action(config)
            connection.commit()
    finally:
        engine.dispose()

"""Whether this process can do its work: which part is down, whether the queue keeps up, and the numbers behind it."""

from app.health.monitor import Check, Monitor, Readiness, State
from app.health.pressure import Pressure, Stopping

__all__ = ["Check", "Monitor", "Pressure", "Readiness", "State", "Stopping"]

"""The provider under chaos: the Telegram simulator at the wire, with faults by chance: `python -m chaos.provider PORT`.

`GET /log?calls=N&sent=M` tells the sendMessage calls from the N-th on and what was sent from the M-th on, with the
moments (Unix seconds) at which they came; `POST /calm` ends the faults.
"""

import asyncio
import random
import sys
from collections import deque
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.simulators.faults import Fault, cut, garbage, slow
from app.simulators.telegram import TelegramSimulator, refused

# How likely each is for a message: those that act leave the caller in doubt.
_FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.03, refused(429, "Too Many Requests: retry after 1", retry_after=1)),
    (0.01, cut(acts=True)),
    (0.01, cut(acts=False)),
    (0.01, garbage(status=502, acts=True)),
    (0.01, garbage(status=502, acts=False)),
    (0.03, slow(0.4)),
)


class UnsteadyTelegram(TelegramSimulator):
    """Telegram on a bad day; it keeps the whole log."""

    def __init__(self, seed: int) -> None:
        super().__init__(accept_any_token=True)
        self.sent, self.calls = deque(), deque()
        self.is_calm = False
        self._chance = random.Random(seed)  # no secret

    def _next_fault(self, method: str) -> Fault | None:
        if self.is_calm or method.lower() != "sendmessage":
            return None
        rolled = self._chance.random()
        for share, fault in _FAULTS:
            if rolled < share:
                return fault
            rolled -= share
        return None

    async def log(self, request: Request) -> JSONResponse:
        """What came and what was sent, from some number on."""
        calls = [call for call in self.calls if call.method.lower() == "sendmessage"]
        since, first = int(request.query_params["calls"]), int(request.query_params["sent"])
        told: dict[str, list[dict[str, Any]]] = {
            "calls": [
                {"chat": int(call.parameters["chat_id"]), "text": call.parameters["text"], "at": call.at}
                for call in calls[since:]
            ],
            "sent": [{"chat": int(one.chat_id), "text": one.text, "at": one.at} for one in list(self.sent)[first:]],
        }
        return JSONResponse(told)

    async def calm(self, _request: Request) -> JSONResponse:
        """No faults from now on."""
        self.is_calm = True
        return JSONResponse({})


def main() -> None:
    """Serve on a port of loopback."""
    port, seed = int(sys.argv[1]), int(sys.argv[2])
    telegram = UnsteadyTelegram(seed)
    telegram.app.routes.extend([Route("/log", telegram.log), Route("/calm", telegram.calm, methods=["POST"])])
    config = uvicorn.Config(telegram.app, host="127.0.0.1", port=port, log_level="critical", lifespan="off")
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()

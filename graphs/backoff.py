"""How long is waited before a model is asked again, and how long for all attempts together."""

from dataclasses import dataclass

MAX_BACKOFF = 8.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """`retries` are the attempts after the first, `first` seconds is the first pause, which doubles up to 8 s."""

    retries: int
    first: float

    def pause(self, e: Exception, remaining_retries: int, num_retries: int, *_: object, **__: object) -> float:
        """Seconds before the next attempt, a provider's Retry-After first; LiteLLM's Router calls it by these names."""
        if remaining_retries == 0:
            return 0.0
        headers = getattr(e, "litellm_response_headers", None) or getattr(getattr(e, "response", None), "headers", {})
        asked = str(headers.get("retry-after", ""))
        wait = float(asked) if asked.isdecimal() else self.first * 2 ** (num_retries - remaining_retries)
        return min(wait, MAX_BACKOFF)

    def deadline(self, timeout: float) -> float:
        """Seconds that all attempts may take together, each of which has `timeout`."""
        # The timeout of one attempt counts from byte to byte; a server that drips would otherwise hold its caller.
        return (self.retries + 1) * timeout + sum(
            min(self.first * (1 << attempt), MAX_BACKOFF) for attempt in range(self.retries)
        )

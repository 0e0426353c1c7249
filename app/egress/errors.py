"""Why something outside could not be reached or read, in words for the tenant who asked for it.

    JobxError
    └── FetchError
        ├── FetchRefused (422)  it is not asked for at all
        └── FetchFailed (502)   it was asked for, and what came cannot be used

The words hold no address, no host and nothing of what was fetched: they are kept, shown and logged.
"""

from app.errors import JobxError


class FetchError(JobxError):
    """The page could not be read."""

    code = "fetch_failed"
    retryable = False


class FetchRefused(FetchError):
    """The address cannot be used."""

    status_code = 422
    code = "url_refused"


class FetchFailed(FetchError):
    """The page could not be read.

    `status` is what the site answered with, where that is why.
    """

    status_code = 502

    def __init__(self, message: str, *, code: str, retryable: bool = False, status: int | None = None) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable
        self.status = status

"""Every error a caller of Jobx can meet.

    JobxError (500)
    ├── BadRequest (400)
    ├── Unauthorized (401)
    ├── Forbidden (403)
    ├── NotFound (404)
    ├── Conflict (409)
    ├── TooLarge (413)
    ├── Unprocessable (422)
    ├── Unavailable (503)
    └── ConfigurationError (start-up, never answered over HTTP)

Errors with more to say live beside the code that raises them. The docstring is the default message; a message may
be shown to a caller, so it never holds personal data, message text or secrets.
"""


class JobxError(Exception):
    """Something went wrong on our side."""

    status_code = 500
    code = "internal_error"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.code = code or type(self).code
        super().__init__(self.message)


class BadRequest(JobxError):
    """The request cannot be understood."""

    status_code = 400
    code = "bad_request"


class Unauthorized(JobxError):
    """A valid API key is needed: Authorization: Bearer <key>."""

    status_code = 401
    code = "unauthorized"


class Forbidden(JobxError):
    """This API key does not have the scope for that."""

    status_code = 403
    code = "forbidden"


class NotFound(JobxError):
    """There is no such thing."""

    status_code = 404
    code = "not_found"


class Conflict(JobxError):
    """That does not fit the present state."""

    status_code = 409
    code = "conflict"


class TooLarge(JobxError):
    """The body is larger than this endpoint takes."""

    status_code = 413
    code = "too_large"


class Unprocessable(JobxError):
    """The request is well formed but asks for something that cannot be done."""

    status_code = 422
    code = "unprocessable"


class Unavailable(JobxError):
    """A part that this needs is not available right now; try again."""

    status_code = 503
    code = "unavailable"


class ConfigurationError(JobxError):
    """The configuration is wrong."""

    code = "configuration_error"

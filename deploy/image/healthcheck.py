"""Ends with 0 if the Jobx of this container answers; the image has no curl."""

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection

connection = HTTPConnection("127.0.0.1", int(os.environ.get("JOBX_PORT", "8000")), timeout=4)
connection.request("GET", "/livez")
sys.exit(connection.getresponse().status != HTTPStatus.OK)

"""The thread that starts the server, lives as long as it should run, brings it back, and ends it."""

import logging
import os
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from .runtime import environment

_logger = logging.getLogger(__name__)
_LOG_LIMIT = 4 * 1024 * 1024
_LOOK_EVERY_S = 1.0
_REST_S = 1.0
# A postmaster that is told SIGQUIT kills its last children after 5 s.
_QUIT_PATIENCE_S = 7.0


class Keeper(threading.Thread):
    """Keeps one `command` (a postmaster with the cluster open as `data_fd`) running until `end`.

    Linux sends the parent-death signal when the *thread* that started a child ends, so starting is this thread's, for
    callers may come from short-lived pool threads. A server that ends by itself after `serving` was set is started
    again, at the same address.
    """

    def __init__(self, command: list[str], data_fd: int, log: Path) -> None:
        super().__init__(name="embedded-postgres", daemon=True)
        self.serving = threading.Event()
        self.pid = 0
        self._command = command
        self._data_fd = data_fd
        self._log = log
        self._log_begin = log.stat().st_size if log.exists() else 0
        self._ending = threading.Event()
        self._patience = 0.0
        self._failure = ""

    def run(self) -> None:
        """Start, watch, and start again."""
        while not self._ending.is_set():
            try:
                reason = self._serve()
            except OSError as error:
                reason = self._failure = str(error)
            if self._ending.is_set() or not self.serving.is_set():
                return
            _logger.warning("the embedded PostgreSQL ended by itself (%s) and is started again", reason)
            self._ending.wait(_REST_S)

    def end(self, patience: float) -> None:
        """Shut the server down: fast, after `patience` seconds immediately. Returns when it is gone."""
        self._patience = patience
        self._ending.set()
        self.join()

    def said(self) -> str:
        """The end of what the server logged since this keeper was made, or why it could not be run at all."""
        if self._failure:
            return self._failure
        with suppress(FileNotFoundError), self._log.open("rb") as file:
            file.seek(max(self._log_begin, self._log.stat().st_size - 2000))
            return file.read().decode(errors="replace")
        return ""

    def _serve(self) -> str:
        process = self._spawn()
        while process.poll() is None and not self._ending.wait(_LOOK_EVERY_S if self.serving.is_set() else 0.02):
            self._bound_log()
        if process.returncode is None:
            _end(process, self._patience)
        return f"code {process.returncode}"

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own launcher, no shell
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(self._data_fd,),
                cwd="/",
                env=environment(),
                # Ctrl-C in a terminal goes to a whole process group: the server has to outlive our own shutdown.
                start_new_session=True,
            )
        finally:
            os.close(log)
        self.pid = process.pid
        return process

    def _bound_log(self) -> None:
        # A full disk must not end this thread, and with it the server.
        with suppress(OSError):
            if self._log.stat().st_size > _LOG_LIMIT:
                with suppress(OSError):
                    shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
                os.truncate(self._log, 0)


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    steps = ((signal.SIGINT, patience), (signal.SIGQUIT, _QUIT_PATIENCE_S), (signal.SIGKILL, None))
    for number, seconds in steps:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return

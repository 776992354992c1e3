"""Run Swift in a process of its own, with the lab's folder and policies: they belong to a whole process.

Programs run from the lab's own copies of Swift's console scripts, files in its ``bin``, since a server that is
asked to reload executes the file of its own name again. `swift_dir` in a conf alone does not bring the storage
policies of that folder, so folder and policies are set before anything else is loaded.
"""
import base64
import contextlib
import faulthandler
import json
import logging
import os

# no shell, and arguments of our own
import subprocess  # nosec B404
import sys
import time
from importlib.metadata import entry_points
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from swift.common.concurrency import sleep
from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import logs as swift_logs
from swift.common.utils import set_swift_dir

from ..conf.casts import number
from ..conf.reading import Option
from .process import LOG
from .spec import LabError

STOP_SECONDS = 20.0
ANSWERER = [sys.executable, '-c', 'from swiftahead.lab.launch import answer_requests; answer_requests()']
METHODS = {'GET', 'HEAD', 'PUT', 'POST', 'DELETE'}
# user agents whose requests are delayed; replicators and reconstructors have others
AGENTS = ('proxy-server', 'swiftahead-sidecar', 'swiftahead-mover', 'Swift Container Reconciler',
          'Swift Container Sync', 'direct-client')
LATENCY = Option('latency_ms', number(float, 0, unit='milliseconds'), '0', 'delay of each request')

_target = 2


def main(swift_dir: str) -> int | None:
    log_to_file()
    _take_policies(swift_dir)
    name = os.path.basename(sys.argv[0])
    found = list(entry_points(group='console_scripts', name=name))
    if not found:
        raise SystemExit(f'{name} is not installed in the environment of {sys.executable}')
    return found[0].load()()


def _take_policies(swift_dir):
    set_swift_dir(swift_dir)
    reload_storage_policies()


class FileHandler(logging.Handler):
    """Append each message to the log with one write: no lock that a fork or a green thread could leave held.

    Swift's own choices are syslog and the console. `log_custom_handlers` would not do, since proxy-logging makes
    its access logger without it; and Swift's `capture_stdio` closes the console.
    """

    def __init__(self, address=None, facility=None):
        super().__init__()

    def handle(self, record):
        if self.filter(record):
            self.emit(record)
        return True

    def emit(self, record):
        now = time.strftime('%H:%M:%S', time.gmtime(record.created))
        text = self.format(record).replace('#012', '\n    ')
        line = f'{now}.{int(record.msecs):03d} {record.levelname} {text}\n'
        # a log that cannot be written must not break the server
        with contextlib.suppress(OSError):
            os.write(_target, line.encode('utf-8', 'surrogateescape'))


def log_to_file() -> None:
    """Let every logger that Swift makes from now on write to the log file, or to stderr without one."""
    global _target
    log = os.environ.get(LOG)
    if log:
        # after a reload stderr is /dev/null: capture_stdio has pointed it there
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(opened, descriptor)
        os.close(opened)
    # a copy, because capture_stdio points stderr itself at /dev/null
    _target = os.dup(2)
    faulthandler.enable(_target)
    swift_logs.ThreadSafeSysLogHandler = FileHandler


# -- a filter of object servers ----------------------------------------------------------------------------

class Latency:
    """Delay requests of proxies, sidecar, reconciler and container-sync, to stand for disks and network."""

    def __init__(self, app, seconds: float):
        self.app = app
        self.seconds = seconds

    def __call__(self, env, start_response):
        if env['REQUEST_METHOD'] in METHODS and env.get('HTTP_USER_AGENT', '').startswith(AGENTS):
            sleep(self.seconds)
        return self.app(env, start_response)


def filter_factory(global_conf, **local_conf):
    """Make the filter for Paste; LATENCY is its option."""
    latency_ms = LATENCY.read('filter:latency', local_conf.get('latency_ms'))
    return lambda app: Latency(app, latency_ms / 1000)


# -- requests by InternalClient ----------------------------------------------------------------------------

class Answer(NamedTuple):
    """An answer; its `headers` have lower-case names."""
    status: int
    headers: dict[str, str]
    body: bytes


class InternalRequests:
    """Requests by Swift's InternalClient, as its daemons make them: of any account and name, in any policy.

    Their process begins with the first request.
    """

    def __init__(self, swift_dir: Path):
        self._command = [*ANSWERER, str(swift_dir)]
        self._process: subprocess.Popen | None = None

    def close(self) -> None:
        """End the process; a later request begins another, which holds nothing against servers that were down."""
        if self._process:
            # the process ends with its input
            try:
                self._process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
            self._process = None

    def request(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """Send a request and wait for the answer.

        :param path: quoted, from the root, with its query
        :raises LabError: where the process has ended
        """
        process = self._running()
        assert process.stdin and process.stdout
        text = None if body is None else base64.b64encode(body).decode()
        print(json.dumps([method, path, headers, text]), file=process.stdin, flush=True)
        line = process.stdout.readline()
        if not line:
            raise LabError(f'the process that was to do {method} {path} has ended')
        status, found, text = json.loads(line)
        return Answer(status, found, base64.b64decode(text))

    def _running(self):
        if not self._process:
            self._process = subprocess.Popen(  # nosec B603
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._process


def answer_requests() -> None:
    """Answer requests, one JSON line each, until standard input ends."""
    from swift.common.internal_client import InternalClient
    swift_dir = sys.argv[1]
    _take_policies(swift_dir)
    client = InternalClient(f'{swift_dir}/internal-client.conf', 'brain', 1)
    for line in sys.stdin:
        print(json.dumps(_answer(client, *json.loads(line))), flush=True)


def _answer(client: Any, method, path, headers, text) -> list:
    body = None if text is None else base64.b64decode(text)
    sent = {**headers, **({} if body is None else {'Content-Length': str(len(body))})}
    response = client.make_request(method, path, sent, (1, 2, 3, 4, 5),
                                   body_file=None if body is None else BytesIO(body))
    found = {key.lower(): value for key, value in response.headers.items()}
    return [response.status_int, found, base64.b64encode(response.body).decode()]

"""Requests by Swift's own InternalClient, as its daemons make them: of any account and name, in any policy.

In a process of its own, since Swift's policies, rings and names' salt belong to a whole process.
"""
import base64
import json

# no shell, and words of our own
import subprocess  # nosec B404
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from .spec import LabError

STOP_SECONDS = 20.0


class Answer(NamedTuple):
    """`headers` have lower-case names."""
    status: int
    headers: dict[str, str]
    body: bytes


class InternalRequests:
    """The other process; begins with the first request."""

    def __init__(self, swift_dir: Path):
        self._command = [sys.executable, '-m', 'swiftahead.lab.internal_requests', str(swift_dir)]
        self._process: subprocess.Popen | None = None

    def close(self) -> None:
        """End it; a later request begins another, which holds nothing against servers that were down."""
        if self._process:
            # it ends with its input
            try:
                self._process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
            self._process = None

    def request(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """:param path: quoted, from the root, with its query"""
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


def main(swift_dir: str) -> None:
    """Answer requests, one JSON line each, until standard input ends."""
    from swift.common.internal_client import InternalClient
    from swift.common.storage_policy import reload_storage_policies
    from swift.common.utils import set_swift_dir
    set_swift_dir(swift_dir)
    reload_storage_policies()
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


if __name__ == '__main__':
    main(sys.argv[1])

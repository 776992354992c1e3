"""The remote as the sidecar has it: in a process with eventlet's monkey patches, one for several tests."""
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

REALM_KEY, USER_KEY = 'the-realms-secret', 'the-containers-secret'
TIMESTAMP = '1600000000.00000'
# eventlet's, of the library that it looks for hosts with
DNS = 'ignore:please use dns.resolver:DeprecationWarning'
METHODS = ('head', 'put', 'post', 'delete')


class Asker:
    """Has a process make calls. A busy machine has time for them, unless a test needs small limits.

    :param limits: of its `Remote`
    :param more: variables of its environment
    """

    def __init__(self, limits: dict, more: dict | None = None):
        self._child = subprocess.Popen(
            [sys.executable, '-W', 'error', '-W', DNS, __file__], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **(more or {})})
        self._tell({'limits': limits})

    def _tell(self, message):
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(json.dumps(message) + '\n')
        self._child.stdin.flush()
        return json.loads(self._child.stdout.readline())

    def together(self, calls: list[dict]) -> tuple[list[dict], float]:
        """Make calls at the same time, each in a green thread; what became of each, and the seconds of all."""
        told = self._tell({'calls': calls})
        return told['results'], told['seconds']

    def one(self, how: str, origin: str, **more) -> dict:
        return self.together([call(how, origin, **more)])[0][0]

    def close(self):
        assert self._child.stdin and self._child.stdout
        self._child.stdin.close()
        self._child.stdout.close()
        assert self._child.wait(60) == 0


@contextmanager
def asking(more: dict | None = None, **limits) -> Iterator[Asker]:
    asker = Asker({'conn_timeout': 20.0, 'response_timeout': 20.0, **limits}, more)
    try:
        yield asker
    finally:
        asker.close()


def call(how: str, origin: str, name: str = 'o', body: list | None = None, length: int | None = None,
         headers: dict | None = None) -> dict:
    """A call. :param body: chunks; None among them: the source breaks there"""
    body = ['abc', 'de'] if body is None else body
    length = sum(map(len, filter(None, body))) if length is None else length
    return {'how': how, 'url': f'{origin}/v1/AUTH_a/c', 'name': name, 'body': body, 'length': length,
            'headers': {'X-Timestamp': TIMESTAMP, **(headers or {})}}


def _chunks(body):
    for chunk in body:
        if chunk is None:
            raise RuntimeError('the source broke')
        yield chunk.encode('latin-1')


def _called(remote, asked: dict) -> Any:
    from swift.common.utils import Timestamp

    from swiftahead.sidecar.syncer.remote import Destination
    to = Destination(asked['url'], 'REALM', REALM_KEY, USER_KEY)
    match asked['how']:
        case 'head':
            found = remote.head(to, asked['name'], Timestamp(TIMESTAMP))
            return found and [found.timestamp.internal, found.etag, found.length, found.headers]
        case 'put':
            return remote.put(to, asked['name'], asked['headers'], _chunks(asked['body']), asked['length'])
        case 'post':
            return remote.post(to, asked['name'], asked['headers'])
        case 'delete':
            return remote.delete(to, asked['name'], Timestamp(TIMESTAMP))
        case 'listing':
            return remote.listing(to)


def _tried(remote, asked: dict) -> dict:
    from swiftahead.sidecar.syncer.remote import RemoteFailed
    try:
        return {'value': _called(remote, asked)}
    except RemoteFailed as error:
        return {'why': error.why, 'status': error.status, 'remedy': error.remedy, 'text': f'{error} {error!r}'}
    except RuntimeError as error:
        return {'raised': str(error)}


def main() -> None:
    from swift.common.concurrency import GreenPool
    from swift.common.utils import monkey_patch
    monkey_patch()
    import logging
    import time

    from swiftahead.sidecar.syncer.remote import Limits, Remote
    remote, pool = None, GreenPool(32)
    for line in sys.stdin:
        message, began = json.loads(line), time.monotonic()
        if 'limits' in message:
            remote = Remote(Limits(**message['limits']), logging.getLogger('syncer'))
            print('{}', flush=True)
        else:
            results = list(pool.imap(partial(_tried, remote), message['calls']))
            print(json.dumps({'results': results, 'seconds': time.monotonic() - began}), flush=True)
    assert remote is not None
    remote.close()


if __name__ == '__main__':
    main()

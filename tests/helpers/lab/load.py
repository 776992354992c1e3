"""Load on a lab: threads that go on while something is done to its programs, and what became of each request."""
import http.client
import itertools
import threading
from collections import Counter
from urllib.parse import urlsplit

from helpers.lab import clients


class NotTaken(Exception):
    """No server took the request: refused, or closed before the first byte of an answer."""


def send(lab, method, path, body=None, proxy=0, token=None) -> clients.Answer:
    """One request on a connection of its own.

    :raises NotTaken: what a client may meet while a server is restarted
    :raises http.client.HTTPException:
    :raises OSError: an answer that breaks off
    """
    client = http.client.HTTPConnection(urlsplit(lab.urls[proxy]).netloc, timeout=60)
    sent = {'X-Auth-Token': clients.token(lab) if token is None else token}
    try:
        try:
            client.request(method, path, body, sent)
            response = client.getresponse()
        except ConnectionError as error:
            raise NotTaken(repr(error)) from error
        headers = {key.lower(): value for key, value in response.getheaders()}
        return clients.Answer(response.status, headers, response.read())
    finally:
        client.close()


class Load:
    """Calls each of `works` again and again, each in a thread of its own, until the block ends.

    What a call raises is kept in `errors` and ends nothing; NotTaken is counted only.
    """

    def __init__(self, *works):
        self.errors: list[str] = []
        self.counts: Counter = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in works]

    def _run(self, work):
        while not self._stop.is_set():
            try:
                work()
                self.counts['done'] += 1
            except NotTaken:
                self.counts['not taken'] += 1
                # a server that is being started is not helped by being asked all the time
                self._stop.wait(0.01)
            except Exception as error:  # noqa: BLE001 - told at the end
                self.errors.append(repr(error)[:1500])

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Until so many more calls are done."""
        wanted = self.counts['done'] + count
        clients.until(lambda: self.counts['done'] >= wanted, f'{count} requests under load are answered')


class Writer:
    """Writes an object and reads it back: what is read is the last that was acknowledged, or was asked for since.

    :param proxies: through which it is read; it is written through the first
    """

    def __init__(self, lab, path, length=30_000, ask=send, proxies=(0,)):
        self._lab, self._path, self._length, self._ask = lab, path, length, ask
        self._proxies = proxies
        self._rounds = itertools.count()
        self._possible = {b''}
        assert ask(lab, 'PUT', path, b'').status == 201

    def __call__(self):
        body = f'{self._path} {next(self._rounds)} '.encode()
        body *= self._length // len(body)
        self._possible.add(body)
        answer = self._ask(self._lab, 'PUT', self._path, body, self._proxies[0])
        assert answer.status == 201, answer
        self._possible = {body}
        for proxy in self._proxies:
            self.check(proxy)

    def check(self, proxy):
        # twice: a miss, and what may be a hit then
        for _ in range(2):
            answer = self._ask(self._lab, 'GET', self._path, proxy=proxy)
            assert answer.status == 200, answer
            assert answer.body in self._possible, self._told(proxy, answer)

    def _told(self, proxy, answer):
        wanted = [body[:len(self._path) + 10] for body in self._possible]
        headers = {key: answer.headers.get(key) for key in ('cache-status', 'x-timestamp', 'age', 'x-trans-id')}
        return answer.body[:len(self._path) + 10], f'instead of {wanted}', proxy, headers


class Reader:
    """Reads objects in turn, and checks every byte. :param bodies: path -> body"""

    def __init__(self, lab, bodies: dict[str, bytes], ask=send):
        self._lab, self._ask = lab, ask
        self._bodies = bodies
        self._turns = itertools.cycle(bodies)

    def __call__(self):
        path = next(self._turns)
        answer = self._ask(self._lab, 'GET', path)
        assert answer.status == 200, answer
        assert answer.body == self._bodies[path], answer.headers

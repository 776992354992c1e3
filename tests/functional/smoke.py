#!/usr/bin/env python3
"""Check any Swift cluster that has the prefetch filter, as a client: python-swiftclient and nothing else.

    python tests/functional/smoke.py --auth http://proxy:8080/auth/v1.0 --user test:tester --key testing

or, where another login than that is in use, with a storage URL and a token: after `eval "$(swift auth)"` no
option is needed.

Works in a container of its own, which it removes at the end. Says line by line what it saw; exit code 1
if anything was not as it should be, 2 if nothing could be checked. A miss becomes a hit only when the sidecar
has admitted it, so hits are waited for, at most `--wait` seconds each; once one was waited for in vain, the
others are waited for but a second.
"""
import argparse
import http.client
import json
import os
import secrets
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import md5
from urllib.parse import quote, urlencode, urlsplit

from swiftclient import client as swiftclient

# what may differ between a miss and a hit
UNCOMPARED = {'date', 'age', 'cache-status', 'x-object-prefetched', 'x-trans-id', 'x-openstack-request-id',
              'connection', 'keep-alive'}
QUIET = {'X-No-Prefetch': 'true'}
POLL = 0.1
# once a hit was waited for in vain
SHORT_WAIT = 1.0
NO_FILTER = ('no filter answers there: is `prefetch` in the pipeline, directly left of proxy-server, and '
             "cache_status on? Where it cannot work, the proxy's log has one ERROR")
NO_SIDECAR = "does swiftahead-sidecar run on the proxy's node? `swiftahead status` tells it there"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def cache_status(self) -> str:
        return self.headers.get('cache-status', '(no Cache-Status)')

    @property
    def is_hit(self) -> bool:
        parts = [part.strip() for part in self.cache_status.split(';')]
        return parts[0] == 'swiftahead' and 'hit' in parts[1:]

    @property
    def lasting_headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name not in UNCOMPARED}


class CannotCheck(Exception):
    """What keeps the script from checking anything, in one sentence."""


class Cluster:
    """One keep-alive connection to a Swift account."""

    def __init__(self, storage_url: str, token: str, timeout: float = 60):
        self.url = urlsplit(storage_url)
        if self.url.scheme not in ('http', 'https') or not self.url.netloc:
            raise CannotCheck(f'{storage_url} is no storage URL: it must be such as http://proxy:8080/v1/AUTH_test')
        self.token = token
        secure = self.url.scheme == 'https'
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self.connection = kind(self.url.netloc, timeout=timeout)

    def request(self, method, path='', body=None, headers=None, token=None, **query) -> Answer:
        """`path` below the account; `token` '' asks as nobody."""
        sent = dict(headers or {})
        token = self.token if token is None else token
        if token:
            sent['X-Auth-Token'] = token
        target = quote(f'{self.url.path}/{path}'.rstrip('/'))
        return self.raw(method, target + (f'?{urlencode(query)}' if query else ''), body, sent)

    def raw(self, method, target, body=None, headers=None) -> Answer:
        try:
            return self._exchange(method, target, body, headers or {})
        except (ConnectionError, http.client.RemoteDisconnected):
            # an idle connection that the server has closed; all requests here may be repeated
            self.connection.close()
            return self._exchange(method, target, body, headers or {})

    def _exchange(self, method, target, body, headers) -> Answer:
        self.connection.request(method, target, body=body, headers=headers)
        answer = self.connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())


@dataclass(frozen=True)
class CheckLine:
    name: str
    passed: bool
    seen: str


@dataclass
class Report:
    talk: bool = True
    lines: list[CheckLine] = field(default_factory=list)

    def check(self, name: str, passed: bool, seen: str = ''):
        self.lines.append(CheckLine(name, bool(passed), seen))
        if self.talk:
            print(f'{"PASS" if passed else "FAIL"}  {name}{seen and ": " + seen}', flush=True)

    @property
    def failed(self) -> int:
        return sum(not line.passed for line in self.lines)


class Smoke:
    """The checks. Each works on objects of its own and leaves a line per thing seen."""

    def __init__(self, cluster: Cluster, report: Report, wait: float):
        self.cluster, self.check, self.wait = cluster, report.check, wait
        self.container = f'smoke-{secrets.token_hex(6)}'

    def ask(self, method, name, **more) -> Answer:
        return self.cluster.request(method, f'{self.container}/{name}', **more)

    def put(self, name, body) -> bytes:
        answer = self.ask('PUT', name, body=body, headers={'Content-Type': 'application/x-smoke'})
        if answer.status != 201:
            raise OSError(f'PUT {name} answered {answer.status}')
        return body

    def poll(self, name, wanted, **more) -> tuple[Answer, float]:
        """GET until `wanted(answer)`, or the time is over."""
        begin = time.monotonic()
        while True:
            answer = self.ask('GET', name, **more)
            took = time.monotonic() - begin
            if wanted(answer) or took > self.wait:
                return answer, took
            time.sleep(POLL)

    def wait_for_hit(self, name, what) -> Answer:
        answer, took = self.poll(name, lambda answer: answer.is_hit)
        hint = '' if answer.is_hit else f'; {NO_SIDECAR if "cache-status" in answer.headers else NO_FILTER}'
        self.check(f'{what}: becomes a hit', answer.is_hit, f'{answer.cache_status} after {took:.1f} s{hint}')
        if not answer.is_hit:
            self.wait = min(self.wait, SHORT_WAIT)
        return answer

    # -- what is checked ---------------------------------------------------------------------------

    def info(self):
        answer = self.cluster.raw('GET', '/info')
        section = json.loads(answer.body).get('prefetch') if answer.status == 200 else None
        self.check('/info has a section prefetch', section is not None, f'{answer.status}, {section}')

    def reads(self):
        bodies = {'small': os.urandom(10_000), 'empty': b'', 'large': os.urandom(1_500_000),
                  'ein Name mit Umläuten und 空白 + %41 ?#': os.urandom(5_000)}
        for name, body in bodies.items():
            self.put(name, body)
            self.read(name, body)
        self.ranges('large', bodies['large'])
        self.conditionals('small', bodies['small'])

    def read(self, name, body):
        first = self.ask('GET', name)
        self.check(f'{name}: first read is whole and no hit',
                   first.status == 200 and first.body == body and not first.is_hit, first.cache_status)
        hit = self.wait_for_hit(name, name)
        self.check(f'{name}: the hit has the same bytes', hit.status == 200 and hit.body == body,
                   f'{hit.status}, {len(hit.body)} bytes, ETag {hit.headers.get("etag")}')
        self.check(f'{name}: the hit has the same headers', hit.lasting_headers == first.lasting_headers,
                   differences(first.lasting_headers, hit.lasting_headers))
        self.check(f'{name}: the hit has an Age', hit.headers.get('age', '').isdigit(),
                   f'Age {hit.headers.get("age")}')
        head = self.ask('HEAD', name)
        self.check(f'{name}: HEAD has the same headers and no body',
                   head.status == 200 and not head.body and head.lasting_headers == first.lasting_headers,
                   f'{head.cache_status}, {differences(first.lasting_headers, head.lasting_headers)}')

    def ranges(self, name, body):
        size = len(body)
        for text, part in (('0-99', body[:100]), ('-100', body[-100:]), (f'{size - 7}-', body[-7:]),
                           ('65500-131100', body[65500:131101]), (f'{size - 10}-{size + 10}', body[-10:])):
            answer = self.ask('GET', name, headers={'Range': f'bytes={text}'})
            self.check(f'{name}: Range bytes={text}', answer.status == 206 and answer.body == part,
                       f'{answer.status}, {answer.headers.get("content-range")}, {answer.cache_status}')
        answer = self.ask('GET', name, headers={'Range': 'bytes=0-9,70000-70009'})
        parts = body[:10] in answer.body and body[70000:70010] in answer.body
        self.check(f'{name}: two ranges', answer.status == 206 and parts and 'multipart/byteranges'
                   in answer.headers['content-type'], f'{answer.status}, {answer.cache_status}')
        answer = self.ask('GET', name, headers={'Range': f'bytes={size}-'})
        self.check(f'{name}: a range beyond the end', answer.status == 416, str(answer.status))

    def conditionals(self, name, body):
        etag = f'"{md5(body, usedforsecurity=False).hexdigest()}"'
        for header, value, status in (
                ('If-None-Match', etag, 304), ('If-None-Match', '*', 304), ('If-None-Match', '"else"', 200),
                ('If-Match', etag, 200), ('If-Match', '"else"', 412),
                ('If-Modified-Since', 'Fri, 01 Jan 2038 00:00:00 GMT', 304),
                ('If-Unmodified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT', 412)):
            answer = self.ask('GET', name, headers={header: value})
            body_right = answer.body == body if status == 200 else body not in answer.body
            right = answer.status == status and body_right
            self.check(f'{name}: {header}: {value}', right, f'{answer.status}, {answer.cache_status}')

    def no_prefetch(self):
        body = self.put('unwanted', os.urandom(10_000))
        first = self.ask('GET', 'unwanted', headers=QUIET)
        time.sleep(min(2, self.wait))
        again = self.ask('GET', 'unwanted', headers=QUIET)
        self.check('X-No-Prefetch: the miss is not kept',
                   first.body == again.body == body and not first.is_hit and not again.is_hit,
                   f'{first.cache_status}, then {again.cache_status}')

    def writes(self):
        self.put('changing', os.urandom(10_000))
        new = os.urandom(12_000)
        self.wait_for_hit('changing', 'before the overwrite')
        self.put('changing', new)
        self.changed('overwrite', 'changing', lambda answer: answer.body == new)
        self.ask('POST', 'changing', headers={'X-Object-Meta-Smoke': 'grey'})
        self.changed('POST', 'changing', lambda answer: answer.body == new
                     and answer.headers.get('x-object-meta-smoke') == 'grey')
        self.ask('DELETE', 'changing')
        for method in ('GET', 'HEAD'):
            answer = self.ask(method, 'changing')
            self.check(f'DELETE: the very next {method} is a 404', answer.status == 404,
                       f'{answer.status}, {answer.cache_status}')

    def changed(self, what, name, is_new):
        """After a write: the next GET, and the hit that follows from it, are of the new version."""
        answer = self.ask('GET', name)
        self.check(f'{what}: the very next GET shows it', is_new(answer),
                   f'{answer.status}, {answer.cache_status}')
        hit = self.wait_for_hit(name, f'after {what}')
        self.check(f'{what}: the next hit shows it too', hit.is_hit and is_new(hit), hit.cache_status)

    def strangers(self):
        body = self.put('private', os.urandom(10_000))
        self.wait_for_hit('private', 'private object, its owner')
        etag = md5(body, usedforsecurity=False).hexdigest()
        for who, token in (('nobody', ''), ('a made-up token', 'AUTH_tk' + secrets.token_hex(16))):
            for what, method, headers in (('GET', 'GET', {}), ('HEAD', 'HEAD', {}),
                                          ('If-None-Match', 'GET', {'If-None-Match': etag}),
                                          ('Range', 'GET', {'Range': 'bytes=0-9'})):
                answer = self.ask(method, 'private', headers=headers, token=token)
                denied = answer.status in (401, 403) and body[:10] not in answer.body
                self.check(f'private object, {what} by {who}', denied and not answer.is_hit,
                           f'{answer.status}, {answer.cache_status}')
        self.read_acl(body)

    def read_acl(self, body):
        """Permission given and taken back must count for a cached object at once."""
        for grant, allowed in (('.r:*', True), ('', False)):
            self.cluster.request('POST', self.container, headers={'X-Container-Read': grant})
            answer = self.ask('GET', 'private', token='')
            right = answer.body == body if allowed else answer.status in (401, 403)
            self.check(f'private object, GET by nobody with X-Container-Read {grant or "withdrawn"}', right,
                       f'{answer.status}, {answer.cache_status}')

    def control(self):
        names = [f'warm/{number}' for number in range(3)]
        bodies = {name: self.put(name, os.urandom(8_000)) for name in names}
        self.ask_filter(prefetch='warm', prefix='warm/')
        for name in names:
            # quiet reads: a miss of ours must not be what fills the cache
            hit, took = self.poll(name, lambda answer: answer.is_hit, headers=QUIET)
            prefetched = hit.headers.get('x-object-prefetched')
            self.check(f'{name}: prefetched, never having been read',
                       hit.is_hit and prefetched == 'True' and hit.body == bodies[name],
                       f'{hit.cache_status}, X-Object-Prefetched {prefetched}, after {took:.1f} s')
        self.forget(names[0], names[1])

    def ask_filter(self, **query):
        # for which Swift refuses a POST to an object; and 202 is a status that Swift gives too
        answer = self.cluster.request('POST', self.container, headers={'X-Delete-At': '1'}, **query)
        node = answer.headers.get('x-prefetch-node')
        self.check(f'{query["prefetch"]}: accepted', answer.status == 202 and bool(node),
                   f'{answer.status}, X-Prefetch-Node {node}')

    def forget(self, name, other):
        self.ask_filter(prefetch='forget', name=name)
        gone, took = self.poll(name, lambda answer: not answer.is_hit, headers=QUIET)
        self.check(f'forget: {name} is no hit any more', gone.status == 200 and not gone.is_hit,
                   f'{gone.cache_status} after {took:.1f} s')
        kept = self.ask('GET', other, headers=QUIET)
        self.check(f'forget: {other} still is one', kept.is_hit, kept.cache_status)

    # -- all of it ---------------------------------------------------------------------------------

    def run(self):
        with self.own_container():
            for part in (self.info, self.reads, self.no_prefetch, self.writes, self.strangers, self.control):
                try:
                    part()
                except (OSError, ValueError, http.client.HTTPException) as error:
                    self.check(f'{part.__name__} came to its end', False, f'{type(error).__name__}: {error}')

    @contextmanager
    def own_container(self):
        answer = self.cluster.request('PUT', self.container)
        if answer.status not in (201, 202):
            raise CannotCheck(f'no container can be made in {self.cluster.url.geturl()} ({answer.status}): use an '
                              'account of your own, whose user may write')
        self.check(f'container {self.container} made', answer.status in (201, 202), str(answer.status))
        try:
            yield
        finally:
            status = self.clean_up()
            self.check(f'container {self.container} removed', status == 204, str(status))

    def clean_up(self) -> int:
        status = 0
        for _ in range(20):
            listing = self.cluster.request('GET', self.container, format='json')
            for entry in json.loads(listing.body or '[]') if listing.status == 200 else []:
                self.ask('DELETE', entry['name'])
            status = self.cluster.request('DELETE', self.container).status
            if status != 409:  # 409: a replica of the listing lags
                break
            time.sleep(0.5)
        return status


def differences(first: dict[str, str], second: dict[str, str]) -> str:
    names = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
    return ', '.join(f'{name}: {first.get(name)} / {second.get(name)}' for name in names) or 'no difference'


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--auth', help='authentication URL (ST_AUTH)')
    parser.add_argument('--user', help='user (ST_USER)')
    parser.add_argument('--key', help='password (ST_KEY)')
    parser.add_argument('--os-storage-url', metavar='URL', help='the account, with a token in place of a login '
                                                                '(OS_STORAGE_URL)')
    parser.add_argument('--os-auth-token', metavar='TOKEN', help='a token that is valid (OS_AUTH_TOKEN)')
    parser.add_argument('--wait', type=seconds, default=15, help='seconds to wait for a hit at most (15)')
    parser.add_argument('--json', action='store_true', help='one JSON object instead of lines')
    args = parser.parse_args(argv)
    if not (args.auth or args.user or args.key):
        args.os_storage_url = args.os_storage_url or os.environ.get('OS_STORAGE_URL')
        args.os_auth_token = args.os_auth_token or os.environ.get('OS_AUTH_TOKEN')
    if not (args.os_storage_url and args.os_auth_token):
        add_login(parser, args)
    return args


def add_login(parser, args):
    """Take from the environment what is not given."""
    for name in ('auth', 'user', 'key'):
        setattr(args, name, getattr(args, name) or os.environ.get(f'ST_{name.upper()}'))
    missing = [f'--{name}' for name in ('auth', 'user', 'key') if not getattr(args, name)]
    if missing:
        parser.error(f'{", ".join(missing)} missing, and no such variable in the environment')


def seconds(text: str) -> float:
    number = float(text)
    # the comparison is written so that NaN fails it
    if not 0 <= number <= 3600:
        raise ValueError(text)
    return number


def log_in(args) -> tuple[str, str]:
    """Storage URL and token. :raises CannotCheck:"""
    if args.os_storage_url and args.os_auth_token:
        return args.os_storage_url, args.os_auth_token
    try:
        return swiftclient.get_auth(args.auth, args.user, args.key)
    except (swiftclient.ClientException, OSError, ValueError) as error:
        raise CannotCheck(f'cannot log in at {args.auth}: {error}') from None


def main(argv=None) -> int:
    args = arguments(argv)
    report = Report(talk=not args.json)
    try:
        Smoke(Cluster(*log_in(args)), report, args.wait).run()
    except (CannotCheck, OSError, ValueError, http.client.HTTPException) as error:
        print(f'smoke: {error}', file=sys.stderr)
        return 2
    passed = len(report.lines) - report.failed
    if args.json:
        print(json.dumps({'passed': passed, 'failed': report.failed,
                          'checks': [asdict(line) for line in report.lines]}, indent=1))
    else:
        print(f'{passed} passed, {report.failed} failed')
    return 1 if report.failed else 0


if __name__ == '__main__':
    sys.exit(main())

"""Access logs for tests, the lines that Swift's own proxy-logging writes; and traces."""
import json
from hashlib import md5

from swift.common.middleware.proxy_logging import ProxyLoggingMiddleware
from swift.common.swob import Request, Response

from swiftahead.plan.traces import read_all

# of the default log_msg_template
FIELDS = ('client_ip', 'remote_addr', 'end_time.datetime', 'method', 'path', 'protocol', 'status_int', 'referer',
          'user_agent', 'auth_token', 'bytes_recvd', 'bytes_sent', 'client_etag', 'transaction_id', 'headers',
          'request_time', 'source', 'log_info', 'start_time', 'end_time', 'policy_index', 'access_user_id')


class Lines(list):
    """Stands for the logger that proxy-logging writes to."""
    logger = None

    def __bool__(self):
        # without a logger it would make one of its own
        return True

    def info(self, message):
        self.append(message)

    def timing(self, *args):
        pass

    update_stats = timing


class Swift:
    """A pipeline with proxy-logging at both ends of `middle`, and objects for its backend.

    :param template: fields of another `log_msg_template` than the default
    """

    def __init__(self, objects, *middle, template=()):
        self.lines = Lines()
        self.objects = objects
        conf = {'log_msg_template': ' '.join(template)} if template else {}
        app = ProxyLoggingMiddleware(self._answer, conf, logger=self.lines)
        for factory in reversed(middle):
            app = factory(app)
        self.app = ProxyLoggingMiddleware(app, conf, logger=self.lines)

    def _answer(self, env, start_response):
        body, headers = self.objects.get(env['PATH_INFO'], (None, {}))
        response = Response(status=404 if body is None else 200, body=body or b'', headers=headers,
                            conditional_response=True, request=Request(env))
        return response(env, start_response)

    def get(self, path, address='10.0.0.1', user='', transaction='tx1', method='GET', source='', **headers):
        env = {'REMOTE_ADDR': address or '', 'swift.trans_id': transaction, 'swift.source': source,
               'swift.access_logging': {'user_id': user} if user else {}}
        sent = {key.replace('_', '-'): value for key, value in headers.items()}
        request = Request.blank(path, env, headers=sent)
        request.method = method
        return request.get_response(self.app).body

    @property
    def log(self):
        return ''.join(f'{line}\n' for line in self.lines)


def large_object(path, names, container='s', body=b'12345'):
    """A manifest and its segments, as objects of `Swift`."""
    account, etag = path.split('/')[2], md5(body, usedforsecurity=False).hexdigest()
    manifest = json.dumps([{
        'name': f'/{container}/{name}', 'bytes': len(body), 'hash': etag, 'content_type': 'text/plain',
        'last_modified': '2026-01-01T00:00:00.000000'} for name in names]).encode()
    return {path: (manifest, {'X-Static-Large-Object': 'True', 'Content-Type': 'text/plain'}),
            **{f'/v1/{account}/{container}/{name}': (body, {'Etag': etag}) for name in names}}


def read_one(*names):
    """The one trace that these files make."""
    [trace] = read_all(names, lambda text: None)
    return trace


# (second, client, object, bytes): ten objects in a row again and again; none keeps all in half of their room
LOOP = [(second, '', f'o{second % 10}', 100) for second in range(300)]


def write_trace(folder, reads, name='t.csv'):
    path = folder / name
    path.write_text('offset_ms,client,object,bytes\n' + ''.join(
        f'{at * 1000},{client},{name},{size}\n' for at, client, name, size in reads))
    return str(path)

"""Access logs for tests: the lines that Swift's own proxy-logging writes."""
from swift.common.middleware.proxy_logging import ProxyLoggingMiddleware
from swift.common.swob import Request, Response

from swiftahead.cli.traces import read_all


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
    """A pipeline with proxy-logging at both ends of `middle`, and objects for its backend."""

    def __init__(self, objects, *middle):
        self.lines = Lines()
        self.objects = objects
        app = ProxyLoggingMiddleware(self._answer, {}, logger=self.lines)
        for factory in reversed(middle):
            app = factory(app)
        self.app = ProxyLoggingMiddleware(app, {}, logger=self.lines)

    def _answer(self, env, start_response):
        body, headers = self.objects.get(env['PATH_INFO'], (None, {}))
        response = Response(status=404 if body is None else 200, body=body or b'', headers=headers,
                            conditional_response=True, request=Request(env))
        return response(env, start_response)

    def get(self, path, address='10.0.0.1', user='', transaction='tx1', method='GET', **headers):
        env = {'REMOTE_ADDR': address or '', 'swift.trans_id': transaction,
               'swift.access_logging': {'user_id': user} if user else {}}
        sent = {key.replace('_', '-'): value for key, value in headers.items()}
        request = Request.blank(path, env, headers=sent)
        request.method = method
        return request.get_response(self.app).body

    @property
    def log(self):
        return ''.join(f'{line}\n' for line in self.lines)


def read_one(*names):
    """The one trace that these files make."""
    [trace] = read_all(names, lambda text: None)
    return trace

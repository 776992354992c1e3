"""A WSGI filter that delays what proxies, sidecar and reconciler ask of object servers, to stand for disks and
network."""
from swift.common.concurrency import sleep

METHODS = {'GET', 'HEAD', 'PUT', 'POST', 'DELETE'}
# how these name themselves to object servers; replicators and reconstructors do otherwise
AGENTS = ('proxy-server', 'swiftahead-sidecar', 'swiftahead-mover', 'Swift Container Reconciler', 'direct-client')


class Latency:
    def __init__(self, app, seconds: float):
        self.app = app
        self.seconds = seconds

    def __call__(self, env, start_response):
        if env['REQUEST_METHOD'] in METHODS and env.get('HTTP_USER_AGENT', '').startswith(AGENTS):
            sleep(self.seconds)
        return self.app(env, start_response)


def filter_factory(global_conf, **local_conf):
    """Paste's factory; option `latency_ms`, milliseconds for each request."""
    text = local_conf.get('latency_ms', '0')
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = -1.0
    if not 0 <= milliseconds < float('inf'):
        raise ValueError(f'latency_ms = {text}: must be a number of milliseconds of at least 0')
    return lambda app: Latency(app, milliseconds / 1000)

"""A filter for a lab's proxies that tells what goes on inside a worker: GET /probe, with ?limit=N to set the
bound on its records in memory first."""
import gc
import json
import os
from urllib.parse import parse_qs

from greenlet import greenlet


class Probe:
    def __init__(self, app):
        self.app = app

    def __call__(self, env, start_response):
        if env['PATH_INFO'] != '/probe':
            return self.app(env, start_response)
        self._bound(parse_qs(env.get('QUERY_STRING', '')))
        start_response('200 OK', [('Content-Type', 'application/json')])
        return [json.dumps(self._found()).encode()]

    @property
    def _worker(self):
        return next((one._runtime for one in self._pipeline if hasattr(one, '_runtime')), None)

    def _bound(self, params):
        if 'limit' in params:
            self._worker.recorder.limit = int(params['limit'][0])

    def _found(self):
        gc.collect()
        green = [one for one in gc.get_objects() if isinstance(one, greenlet) and one]
        found = {'pid': os.getpid(), 'green': len(green)}
        runtime = self._worker
        if runtime is not None:
            found.update(waiting=len(runtime.recorder._buffer), dropped=runtime.recorder.dropped,
                         fills=runtime.collapsed_reads.running)
        return found


def filter_factory(global_conf, **local_conf):
    return Probe

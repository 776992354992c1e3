"""A filter for a lab's proxies that stands for middleware left of the cache: what a client sends as
X-Test-Backend-* goes to the right as X-Backend-*, and what comes from there for middleware alone is shown."""

PREFIX = 'HTTP_X_TEST_BACKEND_'
INNER = ('x-backend-', 'x-object-sysmeta-', 'x-object-transient-sysmeta-')


class Asking:
    def __init__(self, app):
        self.app = app

    def __call__(self, env, start_response):
        for key in [key for key in env if key.startswith(PREFIX)]:
            env['HTTP_X_BACKEND_' + key[len(PREFIX):]] = env.pop(key)

        def show(status, headers, *exc_info):
            shown = [('X-Test-Shown-' + key, value) for key, value in headers if key.lower().startswith(INNER)]
            return start_response(status, [*headers, *shown], *exc_info)

        return self.app(env, show)


def filter_factory(global_conf, **local_conf):
    return Asking

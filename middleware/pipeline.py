"""Where the filter stands. In a wrong place it would leak or answer wrongly, so it must not answer."""
from collections.abc import Iterator

from swift.common.middleware.gatekeeper import GatekeeperMiddleware
from swift.proxy.server import Application

MAIN = '[pipeline:main]'


def pipeline_error(middleware) -> str:
    """Tell the error in the middleware's place in its pipeline; '' where it is right.

    The pipeline exists only once it is loaded whole: ask at the first request, not before.
    """
    pipeline = getattr(middleware, '_pipeline', None)
    if pipeline is None:
        # not loaded by Swift's loadapp: nothing can be known, nor is it needed where nothing of Swift's is around
        return unseen() if any(isinstance(app, Application) for app in right_of(middleware)) else ''
    between = pipeline[pipeline.index(middleware) + 1:-1]
    if between:
        return stands_between(middleware, between)
    if pipeline[-1] is middleware:
        return unseen()
    if not any(isinstance(app, GatekeeperMiddleware) for app in pipeline):
        return ('there is no gatekeeper in the pipeline: clients could send X-Backend headers. '
                f'Add "gatekeeper" to {MAIN}; an internal client has no use for "prefetch"')
    return ''


def stands_between(middleware, between: list) -> str:
    if isinstance(between[-1], type(middleware)):
        return f'the prefetch filter is in the pipeline twice. Take all but the last "prefetch" out of {MAIN}'
    names = ', '.join(type(app).__name__ for app in between)
    return (f'the prefetch filter must stand directly left of proxy-server, but {names} stands between: '
            f'it would answer what {names} has to decide. Move "prefetch" in {MAIN}')


def unseen() -> str:
    return ('the prefetch filter and proxy-server are not in one pipeline that Swift made, and nothing is known '
            f'of what stands around them. Name both in {MAIN}, "prefetch" directly left of proxy-server, '
            'and not by filter-with, filter-app or a pipeline within a pipeline')


def right_of(middleware) -> Iterator[object]:
    app = getattr(middleware, 'app', None)
    while app is not None:
        yield app
        app = getattr(app, 'app', None)

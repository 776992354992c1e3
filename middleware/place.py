"""Where the filter stands. In a wrong place it would leak or answer wrongly, so it must not answer."""
from swift.common.middleware.gatekeeper import GatekeeperMiddleware


def misplacement(middleware) -> str | None:
    """What is wrong with the middleware's place in its pipeline; None where it is right.

    The pipeline exists only once it is loaded whole: ask at the first request, not before.
    """
    pipeline = getattr(middleware, '_pipeline', None)
    if pipeline is None:
        # not loaded by Swift's loadapp: nothing can be known, and nothing of Swift's is around
        return None
    right = pipeline[pipeline.index(middleware) + 1:]
    if right != [middleware._pipeline_final_app]:
        names = ', '.join(type(app).__name__ for app in right[:-1])
        return (f'the prefetch filter must stand directly left of proxy-server, but {names} stands between: '
                f'it would answer what {names} has to decide. Move "prefetch" in [pipeline:main]')
    if not any(isinstance(app, GatekeeperMiddleware) for app in pipeline):
        return ('there is no gatekeeper in the pipeline: clients could send X-Backend headers. '
                'Add "gatekeeper" to [pipeline:main]')
    return None

"""Read the pipelines of conf files by the loaders that Swift's programs use.

Interpolation, folders of confs, `use`, `set` and `get` lines and includes have Swift's own meaning, since Swift
and PasteDeploy read them. Loading a pipeline imports its filters, and makes none of them.
"""
import os
from collections.abc import Iterator
from typing import Any

from swift.common.middleware.memcache import filter_factory as memcache_factory
from swift.common.utils import NicerInterpolation, search_tree
from swift.common.wsgi import ConfigDirLoader, appconfig, loadcontext, loadwsgi

# a ConfigLoader and a LoaderContext of PasteDeploy, which has no types
Loader = Any
Context = Any


def load(path: str) -> Loader:
    """Make a loader of a conf file, or of a folder of ``*.conf``; its `parser` has the sections.

    :raises OSError: where it cannot be read
    :raises configparser.Error, UnicodeDecodeError: where it is no conf
    """
    # included confs are looked for beside it, even where a daemon has changed its working folder meanwhile
    path = os.path.abspath(path)
    loader = ConfigDirLoader(path) if os.path.isdir(path) else loadwsgi.ConfigLoader(path)
    # a loader sets this itself, but at its first pipeline, and options are read before that
    loader.parser._interpolation = NicerInterpolation()
    return loader


def pipeline(source: str | Loader, given: dict | None = None) -> Context:
    """Load the context of a conf's main app.

    :param source: a path, or a loader that `load` gave
    :param given: options that stand above those of the sections, but for ``set`` lines
    """
    return loadcontext(loadwsgi.APP, source, global_conf=given)


def filters(context: Context) -> Iterator[Context]:
    """Yield the contexts of all filters in a pipeline, from left to right, wherever it names them."""
    inner = [*getattr(context, 'filter_contexts', ()),
             *(getattr(context, name, None) for name in ('filter_context', 'next_context', 'app_context'))]
    for one in inner:
        if one is not None:
            yield from filters(one)
    if context.object is not None and context.object_type is loadwsgi.FILTER:
        yield context


def options(context: Context) -> dict[str, str]:
    """Give the options that the factory of a filter or an app gets."""
    return {**context.global_conf, **context.local_conf}


def cache_options(context: Context) -> dict[str, str] | None:
    """Give the options of Swift's cache filter in a pipeline, of the last one of several; None: there is none."""
    found = [one for one in filters(context) if one.object is memcache_factory]
    return options(found[-1]) if found else None


def proxy_confs(swift_dir: str) -> list[str]:
    """List the files and folders with which swift-init would start proxy-servers."""
    return search_tree(swift_dir, 'proxy-server*', '.conf', dir_ext='.conf.d')


def proxy_options(path: str) -> dict[str, str]:
    """Read the options by which a proxy-server with this conf starts: its port, its user and so on."""
    return dict(appconfig(path, name='proxy-server'))

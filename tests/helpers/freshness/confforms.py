"""The forms in which a conf can name memcached servers, and those that Swift makes of each."""
from dataclasses import dataclass, field
from pathlib import Path

ONE, TWO, THREE = '127.0.0.2:1', '127.0.0.3:1', '127.0.0.4:1'
CACHE = '[filter:cache]\nuse = egg:swift#memcache\n'
FACTORY = 'swift.common.middleware.memcache:filter_factory'
ENDING = '[app:proxy-server]\nuse = egg:swift#proxy\n'


@dataclass(frozen=True)
class Form:
    """
    :param servers: the right ones
    :param sections: those of the cache filter
    :param default: lines of [DEFAULT]
    :param cache: what the pipeline names
    :param files: others that lie beside the conf, or in its folder
    """
    servers: list[str]
    sections: str = CACHE
    default: str = ''
    cache: str = 'cache'
    files: dict[str, str] = field(default_factory=dict)
    is_folder: bool = False

    def write(self, path: Path, left: str, right: str, more: str) -> Path:
        """A conf of this form.

        :param left, right: names around the cache filter in the pipeline
        :param more: sections besides
        :returns: the file, or a folder of the name with ``.d``
        """
        text = (f'[DEFAULT]\nswift_dir = {path.parent}\n{self.default}\n{self.sections}\n{more}\n'
                f'[pipeline:main]\npipeline = {left} {self.cache} {right}\n')
        folder = path.with_name(f'{path.name}.d') if self.is_folder else path.parent
        folder.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_text(content)
        (folder / '50.conf' if self.is_folder else path).write_text(text)
        return folder if self.is_folder else path


FORMS = {
    'plain': Form([ONE], f'{CACHE}memcache_servers = {ONE}'),
    'several': Form([ONE, TWO, THREE], f'{CACHE}memcache_servers = {THREE}, {ONE},,{TWO} ,{ONE}'),
    'interpolated': Form([ONE], f'{CACHE}memcache_servers = %(host)s:1', f'host = {ONE[:-2]}'),
    'interpolated twice': Form([ONE, TWO], f'{CACHE}one = %(host)s2:1\nmemcache_servers = %(one)s,%(host)s3:1',
                               'host = 127.0.0.'),
    'a percent sign': Form([ONE], f'{CACHE}memcache_servers = {ONE}\nfull = 100%'),
    'two sections': Form([TWO], f'[filter:old]\nuse = egg:swift#memcache\nmemcache_servers = {ONE}\n'
                                f'{CACHE}memcache_servers = {TWO}'),
    'two in the pipeline': Form([TWO], f'[filter:old]\nuse = egg:swift#memcache\nmemcache_servers = {ONE}\n'
                                       f'{CACHE}memcache_servers = {TWO}', cache='old cache'),
    'another name': Form([ONE], f'[filter:mine]\nuse = egg:swift#memcache\nmemcache_servers = {ONE}',
                         cache='mine'),
    'set': Form([ONE], f'{CACHE}set memcache_servers = {ONE}'),
    'default': Form([ONE], CACHE, f'memcache_servers = {ONE}'),
    # PasteDeploy skips what [DEFAULT] has too, but for `set` lines
    'default and section': Form([ONE], f'{CACHE}memcache_servers = {TWO}', f'memcache_servers = {ONE}'),
    'default and set': Form([TWO], f'{CACHE}set memcache_servers = {TWO}', f'memcache_servers = {ONE}'),
    'get': Form([ONE], f'{CACHE}get memcache_servers = mc', f'mc = {ONE}'),
    'use another section': Form([ONE], f'[filter:cache]\nuse = base\n[filter:base]\nuse = egg:swift#memcache\n'
                                       f'memcache_servers = {ONE}'),
    'use another section and differ': Form([TWO], f'[filter:cache]\nuse = base\nmemcache_servers = {TWO}\n'
                                           '[filter:base]\nuse = egg:swift#memcache\n'
                                           f'memcache_servers = {ONE}'),
    'use another file': Form([ONE], '[filter:cache]\nuse = config:other.ini#shared', files={
        'other.ini': f'[filter:shared]\nuse = egg:swift#memcache\nmemcache_servers = {ONE}\n'}),
    'use a factory': Form([ONE], f'[filter:cache]\npaste.filter_factory = {FACTORY}\nmemcache_servers = {ONE}'),
    'call a factory': Form([ONE], f'[filter:cache]\nuse = call:{FACTORY}\nmemcache_servers = {ONE}'),
    'filter-with': Form([ONE], f'{CACHE}memcache_servers = {ONE}\n[filter:health]\nuse = egg:swift#healthcheck\n'
                               'filter-with = cache', cache='health'),
    'folder': Form([TWO], CACHE, is_folder=True, files={
        '10.conf': f'{CACHE}memcache_servers = {ONE}\n', '90.conf': f'[filter:cache]\nmemcache_servers = {TWO}\n',
        '.99.conf': f'[filter:cache]\nmemcache_servers = {THREE}\n', '99.conf~': 'rubbish'}),
    'memcache.conf': Form([ONE], CACHE, files={'memcache.conf': f'[memcache]\nmemcache_servers = {ONE}\n'}),
    'memcache.conf and section': Form([TWO], f'{CACHE}memcache_servers = {TWO}', files={
        'memcache.conf': f'[memcache]\nmemcache_servers = {ONE}\n'}),
    'nothing': Form(['127.0.0.1:11211']),
}

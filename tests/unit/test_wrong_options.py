"""Every option of every table, with every kind of wrong value: it stops the start, and the message says the rule.

The cases come from the tables, so that none can be forgotten: an option with a new kind of cast fails here until
its wrong values are said.
"""
import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest
from helpers.common.builders import close_logs

from swiftahead.conf import ConfError, options
from swiftahead.conf.reading import REQUIRED, Table
from swiftahead.middleware import filter_factory
from swiftahead.sidecar.settings import SidecarSettings, read_settings

TABLES = {value.section: value for value in vars(options).values() if isinstance(value, Table)}
KEYS = {'cache_dir': '/var/cache/x', 'queue': 'sqlite:/var/cache/x/queue.db'}
NUMBERS = ['', 'soon', 'nan', 'NaN', 'inf', '-inf', 'Infinity', '1e400', '5 s', '5s', '5%', '1,5', '0x10', '--1',
           '1 2', 'on']
WRONG = {
    'boolean': ['', 'perhaps', '2', '-1', 'nan', 'onn', 'on off', 'None', '0.0'],
    'size': ['', 'much', '-1', '-1 GiB', 'nan', 'inf', '1 XiB', '1 s', '1e3', '1,5 GiB', '1 gib', 'GiB',
             '1 GiB 2', '0x10', '9' * 400, '9' * 400 + ' TiB', '1..5', '8 EiB', '9999999 TiB'],
    'absolute_path': ['', 'relative', './x', '../x', '~', '~/x', 'a/b', 'C:\\x', '.', '/a\0b'],
    'queue_url': ['', 'queue.db', '/var/queue.db', 'sqlite:', 'sqlite:queue.db', 'sqlite:./queue.db',
                  'redis://x', 'sqlite3:/x', 'SQLITE:/x', 'sqlite:/', 'sqlite:/var/cache/', 'sqlite:/a\0b'],
    'ip_address': ['', 'localhost', 'all', '-1', 'nan', '127.0.0', '127.0.0.256', '127.0.0.1:80',
                   '1.2.3.4/24', ':::'],
    'hosts': ['http://host', 'host:8080', 'host/path', 'a b', 'a.example,b:1', '[::1]', '-', '*', 'me@host',
              '::1::'],
    'proxy_urls': ['host', '10.1.1.1:8888', 'ftp://host', 'http://', 'http:host', '//host', 'http://a,b',
                   'http://host:port', 'http://host:70000', 'http://host:0', 'http://[::1', 'socks5://host:1'],
    # any text is right here; what it means is checked by whoever uses it
    'text': [],
}


def wrong_values(option):
    cast = option.cast
    if cast.__name__ in WRONG:
        return WRONG[cast.__name__]
    limits = inspect.getclosurevars(cast).nonlocals
    if {'kind', 'least', 'most'} <= set(limits) or {'least', 'rule'} <= set(limits):
        return [*NUMBERS, *beyond(limits)]
    if 'words' in limits:
        return ['', 'sometimes', '0', '-1', limits['words'][0] + 'x', ' '.join(limits['words'])]
    return None


def beyond(limits):
    least, most = limits['least'], limits.get('most')
    above = [] if most is None else [str(most + 1), '1e300', '9' * 300]
    return [str(least - 1), str(least - 0.001), '-1e300', *above]


CASES = [(section, option, value) for section, table in TABLES.items() for option in table.options
         for value in wrong_values(option) or ()]


def given(table):
    """The keys without which a table cannot be read at all."""
    known = {option.name for option in table.options}
    assert {option.name for option in table.options if option.default is REQUIRED} <= set(KEYS)
    return {key: value for key, value in KEYS.items() if key in known}


def assert_said(message, section, key, value):
    """Section, key and value, and the rule, which is more than that it is wrong."""
    assert message.startswith(f'[{section}] {key} = {value}: ')
    assert re.search(r'must be .{4,}|no such option', message.split(': ', 1)[1])


def test_options_of_every_kind_are_known_here():
    unknown = [f'{section} {option.name}' for section, table in TABLES.items() for option in table.options
               if wrong_values(option) is None]
    assert unknown == [], 'say the wrong values of their kinds'


@pytest.mark.parametrize('section, option, value', CASES,
                         ids=[f'{section} {option.name} {value[:20]}' for section, option, value in CASES])
def test_options_a_wrong_value_is_refused(section, option, value):
    table = TABLES[section]
    with pytest.raises(ConfError) as caught:
        table.read({**given(table), option.name: value})
    assert_said(str(caught.value), section, option.name, value)


@pytest.mark.parametrize('section', TABLES)
def test_options_an_unknown_key_is_refused(section):
    """Each one misspelt; and those that other programs know."""
    table = TABLES[section]
    known = {option.name for option in table.options}
    misspelt = {wrong for name in known
                for wrong in (name + 's', name[:-1], name.upper(), name.replace('_', '-'), ' ' + name)}
    # which is PasteDeploy's
    misspelt.discard('use')
    for key in sorted(misspelt - known) + ['cache_path', 'pipeline', 'enable', 'worker', '']:
        with pytest.raises(ConfError) as caught:
            table.read({**given(table), key: '1'})
        assert_said(str(caught.value), section, key, '1')


@pytest.mark.parametrize('section, option', [(section, option) for section, table in TABLES.items()
                                             for option in table.options],
                         ids=lambda value: getattr(value, 'name', value))
def test_options_a_default_is_a_value_that_may_be_given(section, option):
    if option.default in (None, REQUIRED):
        return
    assert option.read(section, option.default) == option.read(section, None)


def test_options_that_need_each_other_do_not_start_the_filter():
    with pytest.raises(ConfError, match=r'\[filter:prefetch\] serve_misplaced = on: must not be on where detect'):
        filter_factory({}, **KEYS, serve_misplaced='on', detect_misplaced='off')


CHECKED = [(section, option, value) for section, table in TABLES.items() for option in table.checked
           for value in wrong_values(option) or ()]


@pytest.mark.parametrize('section, option, value', CHECKED,
                         ids=[f'{section} {option.name} {value[:20]}' for section, option, value in CHECKED])
def test_options_of_others_with_a_wrong_value_are_refused_too(section, option, value):
    """Where Swift would tell of them at the first request, or without their names."""
    table = TABLES[section]
    assert table._is_foreign(option.name)
    with pytest.raises(ConfError) as caught:
        table.read({**given(table), option.name: value})
    assert_said(str(caught.value), section, option.name, value)


FILTERS = [(option, value) for section, option, value in CASES
           if section == options.FILTER.section and value in ('', 'soon', '-1', 'nan')]


@pytest.mark.parametrize('option, value', FILTERS, ids=lambda value: getattr(value, 'name', value))
@pytest.mark.parametrize('inherited', [False, True], ids=['own', 'default'])
def test_options_the_filter_does_not_start(option, value, inherited):
    """Said in its own section or in [DEFAULT]."""
    wrong = {option.name: value}
    with pytest.raises(ConfError) as caught:
        if inherited:
            filter_factory(wrong, **{key: KEYS[key] for key in KEYS if key != option.name})
        else:
            filter_factory({}, **{**KEYS, **wrong})
    assert_said(str(caught.value), options.FILTER.section, option.name, value)


def test_options_the_filter_starts_without_any_of_them():
    assert callable(filter_factory({'swift_dir': '/nothing'}, **KEYS))
    close_logs()


def conf(tmp_path, section, **more):
    """A sidecar's conf with something in one section."""
    sections = {'sidecar': dict(KEYS)}
    sections.setdefault(section, {}).update(more)
    path = tmp_path / 'sidecar.conf'
    path.write_text('\n'.join(f'[{name}]\n' + ''.join(f'{key} = {value}\n' for key, value in keys.items())
                              for name, keys in sections.items()))
    return path


SIDECARS = [case for case in CASES if case[0] in {field.name for field in fields(SidecarSettings)}]


@pytest.mark.parametrize('section, option, value', SIDECARS,
                         ids=[f'{section} {option.name} {value[:20]}' for section, option, value in SIDECARS])
def test_options_the_sidecar_does_not_read_it(tmp_path, section, option, value):
    with pytest.raises(ConfError) as caught:
        read_settings(str(conf(tmp_path, section, **{option.name: value})))
    assert_said(str(caught.value), section, option.name, value)


@pytest.mark.parametrize('section, key, value', [
    ('sidecar', 'cache_size', 'much'), ('prefetcher', 'threshold', '2'), ('sidecar', 'cache_siez', '1')])
def test_options_the_sidecar_does_not_start(tmp_path, section, key, value):
    """The program itself: a line on stderr, an exit code, no traceback, and nothing made."""
    path = conf(tmp_path, section, **{key: value})
    program = 'import sys; from swiftahead.sidecar import main; sys.exit(main())'
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program, path, 'once'], capture_output=True,
                          text=True, timeout=60, env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert done.returncode != 0
    assert f'[{section}] {key} = {value}: ' in done.stderr and 'Traceback' not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ['sidecar.conf']

"""The formats of the figures: one HTML page for a browser, with nothing from elsewhere, and Prometheus' own."""
import time
from collections.abc import Iterable
from html import escape

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...metrics.table import COUNTERS, GAUGES, METRICS, OTHER, QUEUE_COUNTERS, SYNC_COUNTERS
from .snapshot import Figures

REFRESH_SECONDS = 5
STYLE = ('body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}'
         'h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}'
         'table{border-collapse:collapse;width:100%}td{border-bottom:1px solid #ddd;padding:.2rem .5rem}'
         'td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.m{color:#666}'
         '.good{color:#176b2c}.bad{color:#a31515}')
FAMILIES = {'counter': CounterMetricFamily, 'gauge': GaugeMetricFamily}
UNITS = ((2**40, 'TiB'), (2**30, 'GiB'), (2**20, 'MiB'), (2**10, 'KiB'))


def page(figures: Figures) -> str:
    """Write the page, whole in one answer."""
    told = {**figures.gauges, **figures.counters}
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>swiftahead</title>'
            f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
            f'<h1>swiftahead on this node</h1>{_health(figures)}'
            f'<h2>Now</h2>{_table(GAUGES, told)}'
            f'<h2>Counted so far</h2>{_table((*COUNTERS, *QUEUE_COUNTERS, *SYNC_COUNTERS), told)}'
            f'<p>{escape(time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(figures.at)))} &middot; '
            '<a href="/status">JSON</a> &middot; <a href="/metrics">metrics</a> &middot; '
            '<a href="/healthz">health</a></p></body></html>')


def _health(figures):
    told = ''.join(f'<p class="bad">{escape(problem)}</p>' for problem in figures.problems)
    notes = ''.join(f'<p>{escape(note)}</p>' for note in figures.notes)
    return (told or '<p class="good">All is well.</p>') + notes


def _table(metrics, told):
    return f'<table>{"".join(_row(*row) for metric in metrics for row in _rows(metric, told))}</table>'


def _rows(metric, told):
    """Give the rows of a metric; of a family only slots that were ever counted, so that the page stays short."""
    for slot in metric.slots:
        value = told.get(slot)
        if value is None or metric.values and not value:
            continue
        reason = slot.partition('.')[2]
        meaning = f'{metric.meaning}: {"any other" if reason == OTHER else reason}' if reason else metric.meaning
        yield slot, as_text(value, metric.unit), meaning


def _row(name, value, meaning):
    return (f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td>'
            f'<td class="m">{escape(meaning)}</td></tr>')


def as_text(value: float, unit: str) -> str:
    """Write a value for people."""
    if unit == 'yes':
        return 'yes' if value else 'no'
    if unit == 'seconds':
        return f'{value:,.0f} s'
    if unit == 'bytes':
        size, name = next(((size, name) for size, name in UNITS if value >= size), (1, 'bytes'))
        return f'{value / size:,.1f} {name}' if size > 1 else f'{value:,.0f} bytes'
    return f'{value:,.0f}'


class FiguresCollector(Collector):
    """One moment's figures for Prometheus; an unknown figure is left out, so that nobody takes it for a zero."""

    def __init__(self, figures: Figures):
        self._told = {**figures.gauges, **figures.counters}

    def collect(self) -> Iterable[Metric]:
        for metric in METRICS:
            known = [(slot, self._told[slot]) for slot in metric.slots if slot in self._told]
            if known:
                yield self._family(metric, known)

    def _family(self, metric, known):
        family = FAMILIES[metric.kind](f'swiftahead_{metric.name}', metric.meaning,
                                       labels=[metric.label] if metric.label else [])
        for slot, value in known:
            family.add_metric([slot.partition('.')[2]] if metric.label else [], value)
        return family


def exposition(figures: Figures, accept: str = '') -> tuple[bytes, str]:
    """Write the figures for Prometheus: body and content type.

    :param accept: the request's header; old scrapers and new want different formats
    """
    # the global registry would add numbers of this one process
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FiguresCollector(figures))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type

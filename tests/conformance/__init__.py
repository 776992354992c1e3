"""Upstream's own functional tests, with and without the filter: what ends otherwise?"""

"""Benchmarks. Each script beside this file can be run by itself; none of them is a test."""

"""Freshness tokens, and the memcached servers that hold them: how a write through one proxy ends the life of what
others have cached."""
from .tokens import UNKNOWN, Announced, PendingToken, Token, TokenReading, TokenRing, TokensUnreachable

__all__ = ['UNKNOWN', 'Announced', 'PendingToken', 'TokenReading', 'Token', 'TokenRing', 'TokensUnreachable']

"""Freshness tokens, and the memcached servers that hold them: a write through one proxy ends the life of the
versions that others have cached."""
from .process_tokens import ProcessTokens
from .tokens import UNKNOWN, PendingToken, Token, TokenReading, TokenRing, TokensUnreachable

__all__ = ['UNKNOWN', 'PendingToken', 'ProcessTokens', 'Token', 'TokenReading', 'TokenRing', 'TokensUnreachable']

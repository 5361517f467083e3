"""c2c-authd as an uploader sees it: a token for each request, by the rules of docs/uploader.md."""

from .rule import ROWS, SAME_TOKEN, Row, Rule
from .source import INTERFACES, NAME, PATH, Connection, Token, TokenError, TokenSource, connect

__all__ = [
    "INTERFACES", "NAME", "PATH", "ROWS", "SAME_TOKEN", "Connection", "Row", "Rule", "Token", "TokenError",
    "TokenSource", "connect",
]

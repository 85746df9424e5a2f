"""The journal in Redis Streams: the same lines under the same positions as in files, on a server that several machines reach.

Of a source there are, all under the prefix that the profile records (``spreadwatch:{live-1f0c...}``):

    <prefix>:<source>:lines      the stream; an entry is a block of whole lines, compressed, and its id is the position behind it
    <prefix>:<source>:state      hash: `writer` (token of the one writer), `end` (last entry), `head` (how far it is durable)
    <prefix>:<source>:segments   hash: segment -> size and time of last change
    <prefix>:<source>:lock       who writes; expires unless it is renewed
    <prefix>:sources, :about     the sources; whose journal it is

A segment's number is the Unix time in ms at which it was begun, or one more than the last: it never goes back, not even on a
server that has lost its data. Everything that changes a source runs as one script that looks at the writer's token first.
"""

from __future__ import annotations

from pipeline.journal.redis_streams.durability import Durability
from pipeline.journal.redis_streams.importing import RedisImport
from pipeline.journal.redis_streams.journal import RedisJournal
from pipeline.journal.redis_streams.reader import RedisReader
from pipeline.journal.redis_streams.server import Server
from pipeline.journal.redis_streams.writer import RedisWriter

__all__ = ["Durability", "RedisImport", "RedisJournal", "RedisReader", "RedisWriter", "Server"]

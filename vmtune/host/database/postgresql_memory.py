"""How much shared memory PostgreSQL 15 asks for, from its settings.

The sum of src/backend/storage/ipc/ipci.c, CalculateShmemSize, with the sizes that its structures have on 64-bit Linux
(as built by Debian and PGDG: OpenSSL, GSSAPI, blocks of 8 kB), found by the sizes that PostgreSQL 15.18 logs at
DEBUG3. Another major version adds and changes terms: nothing here holds for it.
"""

from __future__ import annotations

from collections.abc import Mapping

MAJOR = 15
BLOCK = 8192
AUXILIARY_PROCESSES, AUXILIARY_KINDS = 5, 6
CHECKPOINT_REQUESTS = 10_000_000
"""Requests to the checkpointer that are kept at most; early minor versions of 15 kept one for each buffer."""
QUIET_LIBRARIES = frozenset(("", "auto_explain", "passwordcheck", "auth_delay", "sslinfo"))
"""Preloaded libraries that ask for no shared memory."""
KNOWN_LIBRARIES = QUIET_LIBRARIES | {"pg_stat_statements", "pg_prewarm"}
_REST = 100_000 + 1028
"""What is too small to be counted there, and the structures of fixed size that are not named here."""
_FIXED = _REST + 128 * 201 + 72 + 456 + 9 * 128 + 104 + 104 + 32 + 32 + 64 + 656 + 2264 + 263_312


def shared_memory_bytes(settings: Mapping[str, int], libraries: frozenset[str], wal_segment_bytes: int) -> int:
    """Size of the shared memory segment. The settings are in PostgreSQL's own units: blocks, MB, bytes, minutes."""
    buffers = settings["shared_buffers"]
    prepared = settings["max_prepared_transactions"]
    senders, slots = settings["max_wal_senders"], settings["max_replication_slots"]
    workers, vacuums = settings["max_worker_processes"], settings["autovacuum_max_workers"]
    backends = settings["max_connections"] + vacuums + 1 + workers + senders
    holders = backends + prepared
    total = _FIXED + _hash(64, 72) + (settings["min_dynamic_shared_memory"] << 20)
    total += _buffers(buffers) + _wal(settings["wal_buffers"], buffers, wal_segment_bytes)
    total += _locks(settings["max_locks_per_transaction"] * holders)
    total += _predicate_locks(settings["max_pred_locks_per_transaction"] * holders, 10 * holders)
    # Processes and their semaphores, arrays, signals and statistics.
    total += 128 * (backends + AUXILIARY_PROCESSES) + 1 + 887 * (holders + AUXILIARY_PROCESSES)
    total += 40 + 4 * holders + (5 * 65 * holders if settings["hot_standby"] else 0)
    total += (backends + AUXILIARY_KINDS) * (950 + settings["track_activity_query_size"] + 80) + 8
    total += 65_560 + 32 * backends + 40 + 8 * backends + 12 + 12 * backends + 32 + 20 * (backends + 1)
    total += _aligned(16 + 8 * prepared) + 256 * prepared
    total += 16 + 560 * workers + 5176 + 64 * vacuums + 80 + 96 * senders
    total += (8 + (264 + 56) * slots if slots else 0) + 16 + 112 * settings["max_logical_replication_workers"]
    # Caches of the transaction logs.
    total += _pages(min(128, max(4, buffers // 512)), positions=1024) + _pages(min(256, max(4, buffers // 256)))
    total += _pages(32) + _pages(8) + _pages(16) + _pages(8) + 52 + 8 * holders
    threshold = settings["old_snapshot_threshold"]
    total += 68 + (4 * (threshold + 10) if threshold > 0 else 0)
    if "pg_stat_statements" in libraries:
        total += 64 + _hash(settings["pg_stat_statements.max"], 360) + 128 + 16 + 19
    if "pg_prewarm" in libraries:
        total += 48
    return total + BLOCK - total % BLOCK


def wal_buffers(stated: int, buffers: int, wal_segment_bytes: int) -> int:
    """WAL buffers in blocks; -1 stands for a share of the buffers, at most a WAL segment."""
    chosen = max(8, min(buffers // 32, wal_segment_bytes // BLOCK)) if stated == -1 else stated
    return max(4, chosen)


def _wal(stated: int, buffers: int, wal_segment_bytes: int) -> int:
    return BLOCK + (8 + BLOCK) * wal_buffers(stated, buffers, wal_segment_bytes)


def _buffers(count: int) -> int:
    return count * (64 + BLOCK + 16 + 20) + 2 * 128 + 24 * min(count, CHECKPOINT_REQUESTS) + _hash(count + 128, 24)


def _locks(count: int) -> int:
    size = _hash(count, 152) + _hash(2 * count, 64)
    return size + size // 10


def _predicate_locks(count: int, transactions: int) -> int:
    size = _hash(count, 32) + _hash(2 * count, 56)
    size += size // 10
    return size + 88 + 168 * transactions + _hash(transactions, 16) + 24 + 48 * 5 * transactions + 16 + 12 + _pages(16)


def _pages(count: int, positions: int = 0) -> int:
    """A cache of `count` pages (slru.c, SimpleLruShmemSize), with `positions` WAL positions a page."""
    size = 88 + 3 * _aligned(4 * count) + _aligned(8 * count) + _aligned(count) + 128 * count + 8 * positions * count
    return _aligned(size, 32) + BLOCK * count


def _hash(count: int, entry: int) -> int:
    """A hash table of `count` entries (dynahash.c, hash_estimate_size)."""
    segments = _power(-(-_power(count) // 256))
    element = 16 + _aligned(entry)
    chunk = 256
    while chunk // element < 32:
        chunk <<= 1
    each = chunk // element
    return 848 + 8 * max(256, segments) + 2048 * segments + -(-count // each) * each * element


def _power(number: int) -> int:
    """The smallest power of two that is not below a number."""
    return 1 << (max(1, number) - 1).bit_length()


def _aligned(size: int, to: int = 8) -> int:
    return -(-size // to) * to

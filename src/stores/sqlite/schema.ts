import type { Migration } from './migrations.ts'

/**
 * The state file. `records` is a rowid table on purpose: with text keys in random order a clustered table costs five times as much per
 * write, because rows of this size leave no room for fan-out.
 */
export const STORE_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    canonical_key TEXT NOT NULL UNIQUE,
    entity TEXT NOT NULL,
    shard INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- one JSON text per line, newest first; cut back now and then
    verdicts TEXT NOT NULL
  ) STRICT;

  CREATE TABLE links (
    app_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    native_id TEXT NOT NULL,
    entity TEXT NOT NULL,
    canonical_key TEXT,
    incarnation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state = 'tombstone' OR (state = 'live' AND canonical_key IS NOT NULL)),
    token TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (app_id, object_id, native_id, entity)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX links_live ON links (canonical_key, app_id, entity) WHERE state = 'live';
  CREATE INDEX links_gone ON links (canonical_key) WHERE state = 'tombstone';

  CREATE TABLE matches (
    entity TEXT NOT NULL,
    match_key TEXT NOT NULL,
    canonical_key TEXT NOT NULL,
    PRIMARY KEY (entity, match_key)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE open_lanes (
    canonical_key TEXT NOT NULL,
    app_id TEXT NOT NULL,
    entity TEXT NOT NULL,
    state TEXT NOT NULL,
    op TEXT,
    since_ms INTEGER NOT NULL,
    code TEXT,
    PRIMARY KEY (canonical_key, app_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE held (
    seq INTEGER NOT NULL,
    entity TEXT NOT NULL,
    app_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    native_id TEXT NOT NULL,
    waits_on TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (seq, entity)
  ) STRICT;

  CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    canonical_key TEXT NOT NULL,
    entity TEXT NOT NULL,
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    loser_app TEXT NOT NULL,
    winner_app TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX conflicts_of_record ON conflicts (canonical_key, id);
  CREATE INDEX conflicts_of_entity ON conflicts (entity, id);

  CREATE TABLE cursors (
    consumer TEXT PRIMARY KEY,
    position INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- The cross-reference, for people and their tools: which native record is which canonical record, and is its latch closed.
  CREATE VIEW xref AS
    SELECT app_id, object_id, native_id, canonical_key,
      EXISTS (
        SELECT 1 FROM open_lanes
        WHERE open_lanes.canonical_key = links.canonical_key AND open_lanes.app_id = links.app_id
          AND open_lanes.state IN ('intent', 'unknown', 'readback', 'overlay')
      ) AS latch_closed,
      entity, incarnation
    FROM links WHERE state = 'live';
  `,
  `
  CREATE TABLE notes (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE hints (
    entity TEXT NOT NULL,
    hint TEXT NOT NULL,
    canonical_key TEXT NOT NULL,
    PRIMARY KEY (entity, hint, canonical_key)
  ) STRICT, WITHOUT ROWID;
  `,
]

/** One segment of the journal. The unique index is what makes a second delivery of the same id a no-op. */
export const JOURNAL_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    mapping_version INTEGER NOT NULL,
    type TEXT NOT NULL,
    -- empty where the input names none: a unique index would take two nulls for different
    app_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    native_id TEXT NOT NULL,
    dedup_key TEXT,
    body TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX entries_dedup ON entries (dedup_key, app_id, object_id) WHERE dedup_key IS NOT NULL;

  CREATE TABLE feeds (
    app_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    position TEXT NOT NULL,
    PRIMARY KEY (app_id, feed)
  ) STRICT, WITHOUT ROWID;
  `,
]

/**
 * FULL: a commit that resolved is on the disk. The log is checkpointed every 4,000 pages (16 MB) instead of every 1,000, because pages
 * that are written again meanwhile are then copied once, and not more seldom, because a log that is still growing costs a slower fsync than one that is overwritten; after a burst it is cut back to 64 MB. The cache is what a bounded set of hot
 * index pages needs; the rest is the operating system's cache, which is not ours to hold.
 */
export const STORE_PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA journal_size_limit = 67108864;
  PRAGMA cache_size = -32000;
`

/** FULL: an append that resolved is on the disk. 4,000 pages of log (16 MB) between checkpoints: pages of an append-only file are rarely written twice, so this only spaces the pauses. */
export const SEGMENT_PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA cache_size = -8000;
`

/** For a connection whose log a `LogSync` brings onto the disk after each commit and a `Checkpointer` into the file; SQLite itself then syncs only around a checkpoint. */
export const SYNC_OURSELVES = 'PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0'

import type { CodeEntry } from './code-entry.ts'

/** Codes of databases that are not as a connector needs them; a part of `ERROR_CODES`. */
export const DATABASE_CODES = {
  'database.schema': {
    handling: 'stop',
    status: 500,
    manual:
      'A table or column that the config names is not there, or is not of a kind that can be kept equal. The message names it and what there is instead. Correct the config or the database; it is looked at again by itself.',
  },
  'database.no-key': {
    handling: 'stop',
    status: 500,
    manual:
      'The id of a table is not unique there, or the log does not name deleted rows by it. The message holds the statement that makes it so.',
  },
  'database.generated': {
    handling: 'stop',
    status: 500,
    manual:
      'A mapped column is computed by the database. It cannot be written, and before PostgreSQL 18 the log leaves it out. Map it with readOnly() or derived(), as the message says.',
  },
  'database.privileges': {
    handling: 'stop',
    status: 500,
    manual:
      'The database user lacks a right that the connector needs. The message holds the statements that an administrator runs.',
  },
  'database.log-off': {
    handling: 'stop',
    status: 500,
    manual:
      'The database does not write the log that changes are read from (PostgreSQL: `wal_level` is not `logical`). The message holds what to set; it needs a restart of the database.',
  },
  'database.read-only': {
    handling: 'retry',
    status: 502,
    manual:
      'The server takes no writes: it is a replica, or set to read-only. Name the server that takes writes; after a failover it goes on by itself.',
  },
  'database.unsupported': {
    handling: 'stop',
    status: 502,
    manual:
      'The server is of a kind or version that this connector was never tried with; nothing is read or written there. The message names what it is, and what is supported.',
  },
  'database.change-table': {
    handling: 'stop',
    status: 500,
    manual:
      'The change table in an application was made by another version of Latchwork. Use that version, or give the application another `prefix`, which begins a change table of its own.',
  },
} as const satisfies Record<string, CodeEntry>

import { BROKER_CODES } from './broker-codes.ts'
import { CHECK_CODES } from './check-codes.ts'
import type { CodeEntry } from './code-entry.ts'
import { CONTACT_CODES } from './contact-codes.ts'
import { DATABASE_CODES } from './database-codes.ts'
import { FLOW_CODES } from './flow-codes.ts'
import { RESOLVE_CODES } from './resolve-codes.ts'

export type { Handling } from './code-entry.ts'

/** Every code, stable for ever: a code is never renamed or reused. */
export const ERROR_CODES = {
  'intake.unauthenticated': {
    handling: 'park',
    status: 401,
    manual:
      'A notification carried no valid signature or credential. Compare the secret at the sender with the `verify` of the webhook, and check that no proxy changes the body.',
  },
  'intake.stale': {
    handling: 'park',
    status: 401,
    manual:
      'The signature is right, but its time stamp is outside the tolerated window, so it may be a replay. Check the clocks of sender and hub.',
  },
  'intake.malformed': {
    handling: 'park',
    status: 400,
    manual:
      'The body is not well-formed in the format that the listener declares (JSON, XML, SOAP, form, CSV, text). The message names the place. Nothing was stored.',
  },
  'intake.forbidden': {
    handling: 'park',
    status: 400,
    manual:
      'The body is well-formed, but it holds what different programs read differently or are tricked by: a key twice in one object, a key such as `__proto__`, a document type declaration, an entity. No honest sender needs it. Nothing was stored.',
  },
  'intake.soap-version': {
    handling: 'park',
    status: 500,
    manual:
      'The SOAP envelope is not of a version that this listener takes. The message names those that it does; set the version at the sender.',
  },
  'intake.soap-action': {
    handling: 'park',
    status: 400,
    manual:
      'The SOAP action of the request is not the one of this listener. Compare it with `action` of the format, or with the WSDL under `?wsdl`.',
  },
  'intake.must-understand': {
    handling: 'park',
    status: 500,
    manual:
      'The SOAP message has a header block that says mustUnderstand and that this listener does not understand. Name it in `understood` of the format where it may be ignored, or switch it off at the sender.',
  },
  'intake.shape': {
    handling: 'park',
    status: 422,
    manual:
      'The body is well-formed, but the id or the record is not where the webhook says that it is. Compare one real body with the binding.',
  },
  'intake.too-large': {
    handling: 'park',
    status: 413,
    manual: 'The body is larger than `limits.bodyBytesMax`. Raise the limit, or let the sender send the id only.',
  },
  'intake.unsupported-type': {
    handling: 'park',
    status: 415,
    manual: 'The content type is not one that this listener reads.',
  },
  'intake.unknown-path': {
    handling: 'park',
    status: 404,
    manual: 'No webhook is declared at this path. The message lists the declared ones.',
  },
  'intake.method': { handling: 'park', status: 405, manual: 'The path exists, but not with this method.' },
  'intake.not-http': {
    handling: 'park',
    status: 400,
    manual:
      'What came over the connection is not a well-formed HTTP/1.1 request, or its headers are larger than 16 KiB. The connection is closed.',
  },
  'intake.timeout': {
    handling: 'retry',
    status: 408,
    manual: 'The request did not arrive as a whole within the time allowed. Nothing was stored; send it again.',
  },
  'intake.overloaded': {
    handling: 'retry',
    status: 503,
    manual:
      'The hub has more unprocessed notifications than `limits.backlogMax`. The sender should resend after Retry-After.',
  },
  'intake.stopping': { handling: 'retry', status: 503, manual: 'The hub is shutting down. Resend after Retry-After.' },
  'journal.full': {
    handling: 'retry',
    status: 503,
    manual: 'The disk under the journal is full. Nothing is acknowledged until there is room; it resumes by itself.',
  },
  'journal.failed': {
    handling: 'retry',
    status: 503,
    manual: 'The journal could not be written. Nothing is acknowledged until it can; look at the cause.',
  },
  'journal.version-unknown': {
    handling: 'stop',
    status: 500,
    manual: 'The journal was written by a newer Latchwork. Use that version, or a newer one.',
  },
  'store.rev-conflict': {
    handling: 'retry',
    status: 503,
    manual: 'Another owner wrote the record meanwhile. The batch is decided again from the new state.',
  },
  'store.fenced': {
    handling: 'stop',
    status: 503,
    manual: 'A newer process has opened this store. This one stops; only one hub may run on a data folder.',
  },
  'store.link-taken': {
    handling: 'bug',
    status: 500,
    manual: 'A native id or match key already belongs to another record. The decision should have seen it.',
  },
  'store.full': {
    handling: 'retry',
    status: 503,
    manual: 'The disk under the store is full. Nothing is sent until there is room; it resumes by itself.',
  },
  'store.failed': {
    handling: 'retry',
    status: 503,
    manual: 'The store could not be read or written. Look at the cause.',
  },
  'store.version-unknown': {
    handling: 'stop',
    status: 500,
    manual:
      'The store was written by a newer Latchwork. Use that version, or a newer one; going back needs a backup of before.',
  },
  'store.version-old': {
    handling: 'stop',
    status: 500,
    manual:
      'The PostgreSQL store was written by an older Latchwork. Stop the hub, back the database up, and run `latchwork migrate`; it is not moved by itself, because other programs may read it.',
  },
  'store.in-use': {
    handling: 'stop',
    status: 500,
    manual: 'Another hub runs on this data folder. Stop it first, or use another folder.',
  },
  'config.driver-missing': {
    handling: 'stop',
    status: 500,
    manual:
      'A database or broker needs a driver package that is not installed. The message names it; install it beside latchwork.',
  },
  'config.not-found': {
    handling: 'stop',
    status: 500,
    manual:
      'No config file at this path. `latchwork start --config <file>` names one; the default is latchwork.config.ts in the current folder.',
  },
  'config.not-a-hub': {
    handling: 'stop',
    status: 500,
    manual: 'The config file must `export default defineHub({ ... })`.',
  },
  'config.unknown-key': {
    handling: 'stop',
    status: 500,
    manual: 'A key of the config is not one that Latchwork knows. The message names it and the nearest known one.',
  },
  'config.invalid': {
    handling: 'stop',
    status: 500,
    manual: 'A part of the config contradicts itself. The message names the place, the reason and the next step.',
  },
  'config.env-missing': {
    handling: 'stop',
    status: 500,
    manual:
      'An environment variable that the config asks for by `env(NAME)` is not set. Set it, or `NAME_FILE` to a file that holds it.',
  },
  'config.tls': {
    handling: 'stop',
    status: 500,
    manual:
      'The certificate and the key of `listener.tls` cannot be used together. Both must be PEM, the key that of the first certificate and without a passphrase; `openssl x509 -noout -pubkey -in cert.pem` and `openssl pkey -pubout -in key.pem` must print the same.',
  },
  'config.value-invalid': {
    handling: 'park',
    status: 422,
    manual:
      'A value does not fit the schema of its entity. Correct it in the application; a newer full image supersedes the parked one.',
  },
  'mapping.record-shape': {
    handling: 'park',
    status: 422,
    manual:
      'A record from the application does not have the shape that the binding says (for example a part that is not an array, or an element without its key).',
  },
  'mapping.decode-failed': {
    handling: 'park',
    status: 422,
    manual: 'A codec could not read a native value. The message names the field and the value.',
  },
  'mapping.encode-failed': {
    handling: 'park',
    status: 422,
    manual: 'A codec could not write a canonical value. The message names the field and the value.',
  },
  'target.unreachable': {
    handling: 'retry',
    status: 502,
    manual:
      'The application did not accept a connection; nothing was applied. Tried again with growing pauses for as long as the need exists.',
  },
  'target.unavailable': {
    handling: 'retry',
    status: 502,
    manual: 'The application answered that it cannot now (429, 503). Tried again, Retry-After honoured.',
  },
  'target.unknown': {
    handling: 'retry',
    status: 502,
    manual:
      'A write was sent and its outcome is not known (time-out, connection lost, 5xx). It is resolved by evidence, never by guessing.',
  },
  'target.unauthorized': {
    handling: 'park',
    status: 502,
    manual: 'The application refused our credentials (401, 403). Correct them, then `latchwork release`.',
  },
  'target.rejected': {
    handling: 'park',
    status: 502,
    manual:
      'The application refused the write (4xx). The message holds its words. A newer value of the record tries once more by itself.',
  },
  'target.duplicate': {
    handling: 'park',
    status: 502,
    manual:
      'The application refused a create because it already holds such a record (409; a database, whose record may be about to go, is tried for a while first). It is linked when that record is heard of; a match key in the entity makes that automatic.',
  },
  'target.create-unknown': {
    handling: 'park',
    status: 502,
    manual:
      'A create may or may not have happened, and the application offers no way to find out (K0). Never a duplicate: look in the application, then release.',
  },
  'target.reply-invalid': {
    handling: 'park',
    status: 502,
    manual:
      'The reply to a write lacks what the binding says that it has, for example the new id. Correct `id` or `version` in the binding.',
  },
  'target.unique': {
    handling: 'retry',
    status: 502,
    manual:
      'An update would give a record a value that another record holds and that is unique there. It is tried again with growing pauses, because that record may be about to give the value up; records that swap values pass together. While the other keeps it, the lane shows this code.',
  },
  'target.reference': {
    handling: 'retry',
    status: 502,
    manual:
      'The write names a record that the database does not have (foreign key). It is tried again with growing pauses, because that record may be on its way. Declaring the field as a reference lets the hub wait for it instead.',
  },
  'target.contention': {
    handling: 'retry',
    status: 502,
    manual:
      'The write met others at the same rows (deadlock, serialization failure, lock held). Nothing was applied; it is tried again.',
  },
  'target.statement-timeout': {
    handling: 'retry',
    status: 502,
    manual:
      'The database ended the statement because it took longer than `statementTimeoutMs`. Nothing was applied; it is tried again. Look for locks and missing indexes, or raise the limit.',
  },
  'target.too-large': {
    handling: 'park',
    status: 502,
    manual:
      'The row or a value of it is larger than the database takes. Shorten the value; a newer one tries once more.',
  },
  ...DATABASE_CODES,
  'driver.missing': {
    handling: 'stop',
    status: 500,
    manual: 'A connector needs a package that is not installed. The message names it: install it beside latchwork.',
  },
  'source.position-invalid': {
    handling: 'stop',
    status: 500,
    manual:
      'The position of a feed in the journal is not one that this connector wrote. Was the application given the name of another?',
  },
  'source.slot-missing': {
    handling: 'stop',
    status: 500,
    manual:
      'The replication slot that this hub read from is gone, so changes between the last position and now cannot be read. Run `latchwork feed reset <app>`: the tables are read again from the beginning and compared, then the log goes on. Changes that were made and undone in the gap stay unseen.',
  },
  'source.slot-changed': {
    handling: 'stop',
    status: 500,
    manual:
      'The replication slot stands beyond what this hub has read from it: it was dropped and made anew, or another program reads it too. What lies between cannot be read. Run `latchwork feed reset <app>`, and give each hub a slot of its own.',
  },
  'source.slot-invalidated': {
    handling: 'stop',
    status: 500,
    manual:
      'The server has given up the replication slot, mostly because it held back more WAL than `max_slot_wal_keep_size`. Run `latchwork feed reset <app>`; raise that setting, or look why the hub was away for so long.',
  },
  'source.slot-in-use': {
    handling: 'retry',
    status: 503,
    manual:
      'Another session reads from the replication slot. After a crash it is the hub of before, which the server ends by itself within `wal_sender_timeout`; otherwise two hubs have the same slot: give each its own.',
  },
  'source.server-changed': {
    handling: 'stop',
    status: 500,
    manual:
      'The database server is not the one that the position belongs to (another system identifier, or another timeline after a failover or a restore), or it was restored to a time before the position. Nothing is read or written there before a person has said which side is true: run `latchwork feed reset <app>` to read its tables again.',
  },
  'source.truncated': {
    handling: 'stop',
    status: 500,
    manual:
      "A table was truncated. The log names no records then, so nothing can be deleted elsewhere record by record. Set `truncate: 'ignore'` in the config to go past it; the records stay in the other applications until they are deleted there.",
  },
  'source.log-purged': {
    handling: 'stop',
    status: 500,
    manual:
      'The server does not have the part of its log any more that this hub has not read yet: the hub was away longer than the log is kept (`binlog_expire_logs_seconds`). Changes in between cannot be read. Run `latchwork feed reset <app>`: the tables are read again from the beginning and compared, then the log goes on. Keep the log for longer.',
  },
  'source.read-failed': {
    handling: 'retry',
    status: 502,
    manual: 'A record or feed could not be read. Tried again with growing pauses.',
  },
  'source.unauthorized': {
    handling: 'retry',
    status: 502,
    manual: 'The application refused our credentials when reading. Correct them; reading goes on by itself.',
  },
  ...RESOLVE_CODES,
  'brake.tripped': {
    handling: 'park',
    status: 409,
    manual:
      'More deletes or writes went from one application to another than `brakes` of the config allows. The rest is held, everything else goes on. `latchwork brake list` shows it; `latchwork brake release` lets it go, where the change is meant.',
  },
  'brake.first-contact': {
    handling: 'park',
    status: 409,
    manual:
      'An application was read for the first time, and that would create more records in another than may be created without a word (`brakes.firstContactCreates`). Nothing of it is written. `latchwork rehearse` lists what would be; `latchwork backfill`, or `latchwork brake release`, lets it go.',
  },
  'merge.manual': {
    handling: 'park',
    status: 409,
    manual:
      'Two applications changed a field whose policy is `manual()`. Each keeps its own value; `latchwork resolve <entity> <app>:<id> <field> --take <app>` (or `--value`) says which stands. When they come to the same value by themselves, it is taken up again.',
  },
  'merge.function-failed': {
    handling: 'park',
    status: 409,
    manual:
      'The merge function of a field threw. The field is set aside, both values are kept, everything else of the record goes on. Correct the function; `latchwork resolve` decides this one, and the next change of the field tries again.',
  },
  'merge.value-invalid': {
    handling: 'park',
    status: 409,
    manual:
      'What a policy made of two changes (a merge function, a counter, a set) does not fit the schema of the field. The field is set aside, both values are kept; `latchwork resolve` says which stands.',
  },
  'merge.in-doubt': {
    handling: 'park',
    status: 409,
    manual:
      'A counter was changed in an application in which a write of ours of unknown outcome was open, so that the difference cannot be told. The field is set aside; look in the application, then `latchwork resolve`.',
  },
  'merge.not-converging': {
    handling: 'park',
    status: 409,
    manual: 'Applications keep changing a field by themselves; it is set aside and both renditions are shown.',
  },
  'format.unwritable': {
    handling: 'park',
    status: 500,
    manual:
      'A value cannot be written in the declared format (a record inside a form field, a character that XML does not have). The message names the field.',
  },
  ...FLOW_CODES,
  ...BROKER_CODES,
  ...CONTACT_CODES,
  ...CHECK_CODES,
  'query.unknown-record': {
    handling: 'park',
    status: 404,
    manual: 'No record is known under this application and native id. `latchwork xref list` shows what is.',
  },
  'query.invalid': {
    handling: 'park',
    status: 400,
    manual: 'A command or request has an argument that cannot be read. The message says which.',
  },
  'hub.not-running': {
    handling: 'retry',
    status: 503,
    manual: 'The command needs a running hub and none answers. `latchwork start` runs one.',
  },
  'hub.listen-failed': {
    handling: 'stop',
    status: 500,
    manual: 'The hub cannot listen on its host and port, mostly because another program does. Give another `--port`.',
  },
  'admin.unauthenticated': {
    handling: 'park',
    status: 401,
    manual:
      'The admin API is protected by LATCHWORK_ADMIN_TOKEN, and the request carries no such bearer token. Set the same variable for the command.',
  },
  'admin.foreign': {
    handling: 'park',
    status: 403,
    manual:
      'Without LATCHWORK_ADMIN_TOKEN the admin API answers only requests made on the same machine, to a local name, and not from a page of another site. Set the token to reach it otherwise.',
  },
  'admin.unknown-path': {
    handling: 'park',
    status: 404,
    manual: 'Neither a webhook nor a part of the admin API is at this path. The message lists what is.',
  },
  'internal.bug': {
    handling: 'bug',
    status: 500,
    manual: 'A defect of Latchwork. The record concerned is parked, everything else goes on. Please report it.',
  },
} as const satisfies Record<string, CodeEntry>

export type ErrorCode = keyof typeof ERROR_CODES

/** The HTTP status with which a request is refused for this reason. */
export const httpStatusOf = (code: ErrorCode): number => ERROR_CODES[code].status

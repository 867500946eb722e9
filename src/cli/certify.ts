import type { ProbeCode, ProbeResult } from '../check/probes.ts'
import { SyncError } from '../errors/index.ts'
import { systemClock, systemRandom } from '../lib/system-clock.ts'
import { asAppId } from '../model/ids.ts'
import { type CertifiedObject, certifyApp, keepProfile } from '../server/certifying.ts'
import { createLog } from '../server/log.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import type { CommandContext } from './program.ts'
import type { Terminal } from './terminal.ts'

export interface CertifyCommandOptions {
  readonly yes?: boolean
  readonly port: number
  readonly host: string
  readonly wait: number
  readonly listen: boolean
}

/** Tries in a sandbox of an application whether it does what the config declares, and keeps what was found. */
export async function certify(context: CommandContext, name: string, own: CertifyCommandOptions): Promise<number> {
  const { options, terminal, process } = context
  const definition = await loadConfig(options.config)
  const app = asAppId(name)
  if (own.yes !== true && definition.apps.has(app))
    throw new SyncError(
      'certify.unconfirmed',
      `records are made, changed and deleted in ${name}, as the config reaches it. Point the config at a sandbox, and say --yes.`,
      { place: { app: name } },
    )
  const stop = new AbortController()
  process.on('SIGINT', () => stop.abort())
  const profile = await certifyApp({
    definition,
    app,
    env: process.env,
    clock: systemClock,
    log: createLog(process.stderr, systemClock, 'error'),
    listen: own.listen ? { port: own.port, host: own.host } : null,
    waitMs: own.wait * 1000,
    tag: Math.floor(systemRandom.next() * 36 ** 5).toString(36),
    signal: stop.signal,
    onObject: (object) => {
      if (!terminal.isJson) terminal.note(objectText(object, terminal))
    },
  })
  const file = keepProfile(options.data, profile)
  const failed = profile.objects.flatMap(({ object, probes }) =>
    probes.filter(({ result }) => result === 'fails').map((probe) => ({ object, ...probe })),
  )
  terminal.result({ ...profile, file, failed: failed.length }, () =>
    [
      '',
      ...failed.flatMap((one) => [
        `${terminal.style('red', one.code)}  ${name}/${one.object} declares ${one.letter}, but: ${one.probe}: ${one.text}.`,
        `    ${NEXT[one.code]}`,
      ]),
      failed.length === 0
        ? terminal.style('green', `${name} does what is declared, as far as it was tried`)
        : terminal.style('red', `${failed.length} of what is declared for ${name} does not hold`),
      `kept in ${file}`,
    ].join('\n'),
  )
  return failed.length === 0 ? EXIT.ok : EXIT.broken
}

const NEXT: Readonly<Record<ProbeCode, string>> = {
  'certify.create': "Say idempotency: 'none', or give `externalId`.",
  'certify.idempotency': "Say idempotency: 'create'.",
  'certify.correlation': 'Leave `externalId` out, or name the field and the query parameter that it has.',
  'certify.read': "Say read: 'R1'.",
  'certify.token':
    'Leave `version` out, or say that it does not grow: etag(), or { in: "field", field, ordered: false }.',
  'certify.condition': 'Leave `conditional` out: what the hub believes to be refused would overwrite edits unseen.',
  'certify.reply': 'Say replyImage: false, or name the version that replies carry.',
  'certify.deletes': 'Say deletes: "ignore" in the binding, or have the application tell of deletions.',
  'certify.feed': 'Correct where it sends its notifications, or poll it as well: what is not sent again is lost.',
  'certify.image': 'Say idOnly: true, so that the record is read.',
  'certify.mark': 'Let the application carry the mark of a write into its log.',
}

function objectText({ object, entity, letters, probes }: CertifiedObject, terminal: Terminal): string {
  return [
    terminal.style('bold', `${object} (${entity}), declared ${letters}`),
    ...probes.map((probe) => `  ${verdict(probe, terminal)}  ${probe.probe}: ${probe.text}`),
  ].join('\n')
}

function verdict({ result }: ProbeResult, terminal: Terminal): string {
  if (result === 'holds') return terminal.style('green', 'holds  ')
  return result === 'fails' ? terminal.style('red', 'fails  ') : terminal.style('dim', 'untried')
}

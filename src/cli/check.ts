import { checkMappings, type LawFinding, type MappingReport } from '../check/mappings.ts'
import type { HubDefinition } from '../config/define-hub.ts'
import { readProfile } from '../server/certifying.ts'
import { type ObjectPromises, promisesOf } from '../server/promises.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import type { CommandContext } from './program.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

export interface CheckOptions {
  readonly values: number
  readonly seed: number
}

/** Tries the laws of the mappings, and says what is promised for the applications of a config. No application is asked. */
export async function check(context: CommandContext, own: CheckOptions): Promise<number> {
  const { options, terminal } = context
  const definition = await loadConfig(options.config)
  const mappings = checkMappings(definition, own)
  const guarantees = promisesOf(definition).map((one) => ({ ...one, certified: certifiedOf(options.data, one) }))
  terminal.result({ mappings, guarantees }, () =>
    [...mappingLines(mappings, terminal), '', ...guaranteeLines(definition, guarantees, terminal)].join('\n'),
  )
  return mappings.findings.length === 0 ? EXIT.ok : EXIT.broken
}

interface Guarantee extends ObjectPromises {
  readonly certified: string
}

/** What `latchwork certify` last found of an object, as far as it is about what is declared now. */
function certifiedOf(data: string, { app, object, letters }: ObjectPromises): string {
  const profile = readProfile(data, app)
  const found = profile?.objects.find((one) => one.object === object)
  if (profile === null || found === undefined) return 'no'
  if (found.letters !== letters) return 'no: declared anew since'
  const failed = found.probes.filter(({ result }) => result === 'fails').length
  return failed === 0 ? new Date(profile.atMs).toISOString().slice(0, 10) : `${failed} failed`
}

function mappingLines({ entities, findings, notes, seed }: MappingReport, terminal: Terminal): string[] {
  const dim = (text: string): string => terminal.style('dim', text)
  const lines = [terminal.style('bold', 'Mappings')]
  if (entities.length === 0) return [...lines, '  this config syncs no entity']
  const wrong = (entity: string): number => findings.filter((one) => one.entity === entity).length
  lines.push(
    table<MappingReport['entities'][number]>(
      [
        { title: '  entity', text: (one) => `  ${one.entity}` },
        { title: 'applications', text: (one) => one.apps.join(', ') },
        { title: 'fields', text: (one) => String(one.fields), isNumber: true },
        { title: 'values tried', text: (one) => String(one.values), isNumber: true },
        {
          title: '',
          text: ({ entity }) =>
            wrong(entity) === 0 ? terminal.style('green', 'holds') : terminal.style('red', `${wrong(entity)} wrong`),
        },
      ],
      entities,
      dim,
    ),
  )
  for (const finding of findings) lines.push('', ...findingLines(finding, terminal))
  if (findings.length > 0) lines.push('', dim(`  the same values once more: --seed ${seed}`))
  if (notes.length > 0) lines.push('')
  for (const { entity, field, app, text } of notes)
    lines.push(dim(`  note: ${entity}.${field}${app === null ? '' : ` in ${app}`}: ${text}`))
  return lines
}

const findingLines = ({ code, message, next }: LawFinding, terminal: Terminal): string[] => [
  `  ${terminal.style('red', code)}  ${message}`,
  `    ${next}`,
]

/** What is promised for each object, and of what is not, the reason and what would earn it: each reason once. */
function guaranteeLines(definition: HubDefinition, guarantees: readonly Guarantee[], terminal: Terminal): string[] {
  const lines = [terminal.style('bold', 'Guarantees')]
  if (guarantees.length === 0) return [...lines, '  no application is synced']
  lines.push(
    table<Guarantee>(
      [
        { title: '  application', text: (one) => `  ${one.app}` },
        { title: 'object', text: (one) => one.object },
        { title: 'entity', text: (one) => one.entity },
        { title: 'class', text: (one) => one.class },
        { title: 'letters', text: (one) => one.letters },
        {
          title: 'promised',
          text: ({ notPromised }) =>
            notPromised.length === 0
              ? terminal.style('green', 'V1 to V12')
              : terminal.style('yellow', `not ${notPromised.map(({ promise }) => promise.split(' ')[0]).join(', ')}`),
        },
        { title: 'certified', text: ({ certified }) => certified },
      ],
      guarantees,
      (text) => terminal.style('dim', text),
    ),
  )
  for (const app of definition.apps.keys()) {
    const missing = new Map(
      guarantees
        .filter((one) => one.app === app)
        .flatMap((one) => one.notPromised)
        .map((one) => [one.promise + one.why, one]),
    )
    for (const { promise, why, earn } of missing.values())
      lines.push(
        '',
        `  ${terminal.style('yellow', `${app}: not promised, ${promise}`)}`,
        `    ${why}.`,
        `    What would earn it: ${earn}.`,
      )
  }
  return lines
}

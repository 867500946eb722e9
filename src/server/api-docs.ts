import { z } from 'zod'
import type { CompiledFlow } from '../config/compile-flow.ts'
import type { HubDefinition } from '../config/define-hub.ts'
import type { HttpListenOptions, HttpVerify, HttpWebhook } from '../connectors/http/index.ts'
import { compileFormat } from '../formats/index.ts'

/** What can be sent to this hub over HTTP, for programs and people: OpenAPI 3.1, made from the config, so never out of date. */

export type Json = Readonly<Record<string, unknown>>

export interface ApiInfo {
  readonly title: string
  readonly version: string
  /** Where the hub answers; null when it is not running. */
  readonly url: string | null
}

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What is wrong, and what to do.' },
    code: { type: 'string', description: 'Stable; docs/errors.md has the manual entry of each.' },
    instance: { type: 'string' },
  },
}

const RUN = {
  type: 'object',
  required: ['id', 'flow', 'state'],
  properties: {
    id: { type: 'string' },
    flow: { type: 'string' },
    state: { enum: ['queued', 'running', 'retry', 'doubt', 'parked', 'done', 'cancelled'] },
    attempts: { type: 'integer' },
    result: {},
    code: { type: ['string', 'null'] },
    reason: { type: ['string', 'null'] },
    timeline: { type: 'array', items: { type: 'object' } },
  },
}

/** The schema of what a sender writes, as JSON Schema; anything where the schema cannot say it. */
export function schemaOf(schema: unknown, io: 'input' | 'output'): Json {
  if (typeof schema !== 'object' || schema === null || !('_zod' in schema)) return {}
  try {
    const { $schema: _, ...made } = z.toJSONSchema(schema as z.core.$ZodType, { io, unrepresentable: 'any' })
    return made
  } catch {
    return {}
  }
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

const refusals = (...statuses: readonly string[]): Json =>
  Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: REFUSALS[status] ?? 'Refused.',
        ...(status === '503'
          ? { headers: { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds.' } } }
          : {}),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  )

const REFUSALS: Readonly<Record<string, string>> = {
  '400': 'Not well-formed.',
  '401': 'No valid proof of who sent it.',
  '404': 'There is no such thing.',
  '413': 'Too large.',
  '415': 'A content type that is not read here.',
  '422': 'Well-formed, and not as the schema says.',
  '500': 'The flow failed.',
  '503': 'More than the flow takes. Nothing was done; send it again after Retry-After.',
  '504': 'The flow has not answered in time.',
}

export function openApiOf(definition: HubDefinition, info: ApiInfo): Json {
  const security: Record<string, Json> = {}
  const paths: Record<string, Record<string, Json>> = {}
  const put = (path: string, method: string, operation: Json): void => {
    const name = path.replace(/:(\w+)/g, '{$1}')
    ;(paths[name] ??= {})[method.toLowerCase()] = operation
  }
  for (const flow of definition.flows)
    for (const { kind, options } of flow.listens)
      if (kind === 'http') put(options.path, options.method, flowOperation(flow, options, security))
  for (const { app, webhook } of webhooksOf(definition))
    put(webhook.path, 'post', webhookOperation(app, webhook, security))
  if (definition.flows.length > 0) addExecutions(definition, put)
  return {
    openapi: '3.1.1',
    info: { title: info.title, version: info.version },
    ...(info.url === null ? {} : { servers: [{ url: info.url }] }),
    paths,
    components: {
      schemas: { Problem: PROBLEM, Run: RUN },
      securitySchemes: { admin: { type: 'http', scheme: 'bearer', description: 'LATCHWORK_ADMIN_TOKEN' }, ...security },
    },
  }
}

function flowOperation(flow: CompiledFlow, door: HttpListenOptions, security: Record<string, Json>): Json {
  const { model, schemas } = flow
  const proof = securityOf(door.verify, security)
  const types = door.formats.map((spec) => compileFormat(spec).contentType.replace(/;.*/, ''))
  const content = (schema: Json): Json => Object.fromEntries(types.map((type) => [type, { schema }]))
  const hasBody = door.method !== 'GET' && door.method !== 'DELETE'
  const acknowledged = {
    description: 'Durable; it runs afterwards. The same delivery id again is acknowledged and not run.',
    ...(door.ackStatus === 204 ? {} : { content: content({ type: 'object' }) }),
  }
  return {
    operationId: `${model.name}-${door.method.toLowerCase()}`,
    summary: model.kind === 'reply' ? `Answers with the reply of ${model.name}` : `Hands a message to ${model.name}`,
    tags: [model.name],
    ...(proof === null ? {} : { security: [proof] }),
    parameters: parametersOf(door, schemas.properties),
    ...(hasBody
      ? { requestBody: { required: schemas.input !== undefined, content: content(schemaOf(schemas.input, 'input')) } }
      : {}),
    responses: {
      ...(model.kind === 'reply'
        ? { '200': { description: 'The reply.', content: content(schemaOf(schemas.output, 'output')) } }
        : { [String(door.ackStatus)]: acknowledged }),
      ...refusals('400', '401', '413', '415', '422', ...(model.kind === 'reply' ? ['500', '503', '504'] : ['503'])),
    },
  }
}

function parametersOf(door: HttpListenOptions, properties: unknown): readonly Json[] {
  const inPath = [...door.path.matchAll(/:(\w+)/g)].map(([, name]) => name as string)
  const made = schemaOf(properties, 'input') as { properties?: Record<string, Json>; required?: readonly string[] }
  const known = made.properties ?? {}
  const placed = Object.entries(door.properties).filter(([, place]) => place.in === 'header')
  const elsewhere = new Set([...inPath, ...Object.keys(door.properties)])
  return [
    ...inPath.map((name) => ({ name, in: 'path', required: true, schema: known[name] ?? { type: 'string' } })),
    ...placed.map(([name, place]) => ({
      name: 'name' in place ? place.name : name,
      in: 'header',
      required: made.required?.includes(name) === true,
      schema: known[name] ?? { type: 'string' },
    })),
    ...Object.entries(known)
      .filter(([name]) => !elsewhere.has(name))
      .map(([name, schema]) => ({ name, in: 'query', required: made.required?.includes(name) === true, schema })),
  ]
}

function webhookOperation(app: string, webhook: HttpWebhook, security: Record<string, Json>): Json {
  const proof = securityOf(webhook.verify, security)
  const type =
    webhook.format === undefined ? 'application/json' : compileFormat(webhook.format).contentType.replace(/;.*/, '')
  const inPath = [...webhook.path.matchAll(/:(\w+)/g)].map(([, name]) => name as string)
  return {
    operationId: `${app}-${webhook.path.replace(/[^\w]+/g, '-')}`,
    summary: `${app} tells of a change`,
    tags: [app],
    ...(proof === null ? {} : { security: [proof] }),
    parameters: inPath.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    requestBody: { required: webhook.id === undefined, content: { [type]: { schema: {} } } },
    responses: {
      [webhook.reply === undefined ? String(webhook.ackStatus) : '200']: {
        description: webhook.reply === undefined ? 'Durable.' : 'Delivered, with the ids in the other applications.',
      },
      ...(webhook.reply === undefined
        ? {}
        : { '202': { description: 'Durable, and not delivered everywhere yet; with a request id.' } }),
      ...refusals('400', '401', '413', '415', '422', '503'),
    },
  }
}

function addExecutions(definition: HubDefinition, put: (path: string, method: string, operation: Json) => void): void {
  const name = {
    name: 'name',
    in: 'path',
    required: true,
    description: 'The flow; `<flow>@<agent>` for one that runs on an agent.',
    schema: { type: 'string', examples: definition.flows.map(({ model }) => model.name) },
  }
  const wait = {
    name: 'wait',
    in: 'query',
    description: 'Seconds to wait until it is over.',
    schema: { type: 'integer' },
  }
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } }
  const run = { description: 'The run as it is now.', content: { 'application/json': { schema: ref('Run') } } }
  const common = { tags: ['executions'], security: [{ admin: [] }] }
  put('/api/flows/:name/executions', 'post', {
    ...common,
    operationId: 'execute',
    summary: 'Starts a flow',
    parameters: [name, wait],
    requestBody: {
      content: {
        'application/json': {
          schema: {
            type: 'object',
            properties: {
              properties: { type: 'object', additionalProperties: true },
              body: {},
              id: { type: 'string', description: 'The same id is not run twice.' },
            },
          },
        },
      },
    },
    responses: {
      '200': run,
      '202': { description: 'Durable; with the id of the run and where to look.' },
      ...refusals('401', '404', '422', '503'),
    },
  })
  put('/api/flows/:name/executions/:id', 'get', {
    ...common,
    operationId: 'execution',
    summary: 'A run, now or when it is over',
    parameters: [name, id, wait],
    responses: { '200': run, ...refusals('401', '404') },
  })
  put('/api/flows/:name/executions/:id/events', 'get', {
    ...common,
    operationId: 'executionEvents',
    summary: 'Every state of a run until it is over, as server-sent events',
    parameters: [name, id],
    responses: {
      '200': { description: 'Events named `run`.', content: { 'text/event-stream': { schema: { type: 'string' } } } },
      ...refusals('401', '404'),
    },
  })
}

/** Names the proof and remembers its scheme; null where there is none. */
function securityOf(verify: HttpVerify | null, schemes: Record<string, Json>): Json | null {
  if (verify === null || verify.kind === 'none') return null
  const scheme = schemeOf(verify)
  const wanted = JSON.stringify(scheme)
  let name: string = verify.kind
  for (let n = 2; schemes[name] !== undefined && JSON.stringify(schemes[name]) !== wanted; n++)
    name = `${verify.kind}-${n}`
  schemes[name] = scheme
  return { [name]: [] }
}

function schemeOf(verify: HttpVerify): Json {
  switch (verify.kind) {
    case 'basic':
      return { type: 'http', scheme: 'basic' }
    case 'bearer':
      return { type: 'http', scheme: 'bearer' }
    case 'api-key':
      return { type: 'apiKey', in: 'header', name: verify.header }
    case 'client-certificate':
      return { type: 'mutualTLS' }
    case 'hmac':
      return {
        type: 'apiKey',
        in: 'header',
        name: verify.header,
        description: `HMAC-${verify.algorithm} over the raw body, ${verify.encoding}.`,
      }
    default:
      return {
        type: 'apiKey',
        in: 'header',
        name: 'signature',
        description: `A proof of the kind ${verify.kind}; see the config.`,
      }
  }
}

function webhooksOf(definition: HubDefinition): readonly { readonly app: string; readonly webhook: HttpWebhook }[] {
  return [...definition.apps].flatMap(([app, given]) =>
    given.kind === 'http'
      ? given.options.resources.flatMap(({ notify }) => (notify === null ? [] : [{ app, webhook: notify }]))
      : [],
  )
}

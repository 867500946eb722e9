import { parseAst } from 'vitest/node'

/** A node of the syntax tree as far as it is looked at here. */
interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [name: string]: unknown
}

/** One small change of the source: what stands between `start` and `end` becomes `text`. */
export interface SourceMutant {
  readonly start: number
  readonly end: number
  readonly text: string
  /** Expressions are chosen between where they stand; a statement is left out. */
  readonly at: 'expression' | 'block'
  readonly kind: string
}

const OPERATORS: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '==': ['!='],
  '!=': ['=='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '**': ['*'],
}

/**
 * The changes that are tried: conditions made true or false, comparisons and arithmetic turned, `&&` and `||` exchanged, `??` cut to one side, `!` and spreads taken away, numbers
 * raised by one, words and lists emptied, statements and whole blocks left out. Texts for people (with a space in them) are not touched, nor is what runs only once, while a
 * module is loaded: it could not be switched.
 */
export function mutantsOf(source: string): SourceMutant[] {
  const found: SourceMutant[] = []
  const program = parseAst(source, { lang: 'ts' }) as unknown as Node
  visit(program, null, '', 0, source, found)
  return found
}

function visit(
  node: Node,
  parent: Node | null,
  role: string,
  depth: number,
  source: string,
  found: SourceMutant[],
): void {
  if (node.type.startsWith('TS') && !PASSED_THROUGH.has(node.type)) return
  if (node.type === 'ImportDeclaration' || node.type === 'ExportAllDeclaration') return
  if (depth > 0) mutate(node, parent, role, source, found)
  const within = FUNCTIONS.has(node.type) ? depth + 1 : depth
  for (const name in node) {
    if (name === 'type' || name === 'start' || name === 'end' || SKIPPED_FIELDS.has(name)) continue
    const value = node[name]
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) visit(child, node, name, within, source, found)
    }
  }
}

const PASSED_THROUGH = new Set(['TSAsExpression', 'TSNonNullExpression', 'TSSatisfiesExpression'])
const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])
const SKIPPED_FIELDS = new Set([
  'typeAnnotation',
  'returnType',
  'typeParameters',
  'typeArguments',
  'superTypeArguments',
])
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'

function mutate(node: Node, parent: Node | null, role: string, source: string, found: SourceMutant[]): void {
  const { start, end } = node
  const textOf = (part: unknown): string => source.slice((part as Node).start, (part as Node).end)
  const put = (text: string, kind: string, at: SourceMutant['at'] = 'expression'): void =>
    void found.push({ start, end, text, at, kind })
  if (role === 'test') {
    put('true', 'condition')
    put('false', 'condition')
  }
  switch (node.type) {
    case 'BinaryExpression': {
      const left = textOf(node.left)
      const right = textOf(node.right)
      for (const other of isText(node) ? [] : (OPERATORS[node.operator as string] ?? []))
        put(`(${left}) ${other} (${right})`, 'operator')
      return
    }
    case 'LogicalExpression': {
      const left = textOf(node.left)
      const right = textOf(node.right)
      if (node.operator === '??') {
        put(left, 'operator')
        put(right, 'operator')
      } else put(`(${left}) ${node.operator === '&&' ? '||' : '&&'} (${right})`, 'operator')
      return
    }
    case 'UnaryExpression':
      if (node.operator === '!' || node.operator === '-') put(textOf(node.argument), 'operator')
      return
    case 'Literal':
      literal(node, parent, role, put)
      return
    case 'ArrayExpression':
      if ((node.elements as unknown[]).length > 0) put('[]', 'list')
      return
    case 'ExpressionStatement': {
      const { type } = node.expression as Node
      if (['CallExpression', 'AssignmentExpression', 'UpdateExpression'].includes(type)) put('', 'statement', 'block')
      return
    }
    case 'BlockStatement':
      if ((node.body as unknown[]).length > 0 && role !== 'block') put('', 'block', 'block')
      return
    case 'ReturnStatement': {
      const argument = node.argument as Node | null
      if (argument !== null && argument?.type === 'CallExpression' && parent?.type === 'BlockStatement') return
      return
    }
  }
}

function literal(node: Node, parent: Node | null, role: string, put: (text: string, kind: string) => void): void {
  const isName = role === 'key' && parent?.computed !== true
  const isMember = role === 'property' && parent?.computed !== true
  if (isName || isMember || parent?.type === 'ImportExpression') return
  const { value } = node
  if (typeof value === 'boolean') put(String(!value), 'literal')
  else if (typeof value === 'number') put(String(value + 1), 'literal')
  else if (typeof value === 'string' && /^\S+$/.test(value)) put("''", 'literal')
}

/** Joining texts is not arithmetic. */
function isText(node: Node): boolean {
  if (node.operator !== '+') return false
  const sides = [node.left as Node, node.right as Node]
  return sides.some(
    (side) =>
      side.type === 'TemplateLiteral' ||
      (side.type === 'Literal' && typeof side.value === 'string') ||
      (side.type === 'BinaryExpression' && isText(side)),
  )
}

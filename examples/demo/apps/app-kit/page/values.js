/** Values as people read and type them, by the kind of their field. */

const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const whole = new Intl.NumberFormat()
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const numericKinds = new Set(['cents', 'decimal', 'integer'])

export function isNumeric(field) {
  return numericKinds.has(field.kind)
}

/** An element with attributes and children: text, elements, or nothing for null. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== 'list') node[name] = value
    else node.setAttribute(name, value)
  }
  node.append(...children.filter((child) => child !== null))
  return node
}

export function showValue(field, value, titles) {
  if (value === null) return element('span', { className: 'quiet' }, '–')
  switch (field.kind) {
    case 'cents':
      return money.format(value / 100)
    case 'decimal':
      return money.format(Number(value))
    case 'integer':
      return whole.format(value)
    case 'instant':
      return element('span', { className: 'nowrap' }, moment.format(new Date(value)))
    case 'choice':
      return element('span', { className: `pill step-${field.choices.indexOf(value)}` }, value.toLowerCase())
    case 'reference':
      return element('span', { className: 'nowrap' }, titles[field.refersTo]?.[value] ?? String(value))
    default:
      return String(value)
  }
}

/** How a value stands in an input. */
export function toInput(field, value) {
  if (value === null || value === undefined) return ''
  if (field.kind === 'instant') return moment.format(new Date(value))
  return field.kind === 'cents' ? (value / 100).toFixed(2) : String(value)
}

/** The value of an input, as the application stores it. What cannot be read is sent as it is, for the application to refuse. */
export function fromInput(field, text) {
  if (text === '' && field.optional) return null
  switch (field.kind) {
    case 'cents': {
      const match = /^\s*(\d{1,10})(?:[.,](\d{1,2}))?\s*$/.exec(text)
      return match ? Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0')) : text
    }
    case 'decimal':
      return text.trim().replace(',', '.')
    case 'integer':
      return /^\s*-?\d+\s*$/.test(text) ? Number(text) : text
    case 'reference':
      return /^\d+$/.test(text) ? Number(text) : text
    default:
      return text
  }
}

export function amountOf(lines, linesDescription) {
  const price = linesDescription.fields.find((field) => field.kind === 'cents' || field.kind === 'decimal')
  const quantity = linesDescription.fields.find(
    (field) => field.kind === 'integer' && field.name !== linesDescription.key,
  )
  const factor = price.kind === 'cents' ? 100 : 1
  return money.format(lines.reduce((sum, line) => sum + (Number(line[price.name]) / factor) * line[quantity.name], 0))
}

export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000)
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${Math.floor(seconds / 5) * 5} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return moment.format(new Date(time))
}

/**
 * The form of one record. It sends only what the person has edited. When the record changes under the form, untouched fields
 * follow, and an edited field says what the record holds now; so nothing is overwritten that the person has not seen.
 */

import { element, fromInput, showValue, toInput } from './values.js'

/** `item` is null for a new record. `optionsOf(object)` gives the records that a reference can choose from. */
export async function createForm({ object, item, optionsOf, onSave, onDelete, onClose }) {
  const isNew = item === null
  let base = item?.row ?? {}
  const controls = new Map()
  const fields = object.fields.filter((field) => !(isNew && (field.kind === 'instant' || field.shownOnly)))
  const boxes = await Promise.all(fields.map(fieldBox))
  const lines = object.lines ? await createLines(object.lines, base[object.lines.name] ?? [], optionsOf) : null
  const linesHint = element('span', { className: 'hint' })
  const save = element('button', { type: 'submit', className: 'primary' }, isNew ? `Create ${object.one}` : 'Save')
  const cancel = element('button', { type: 'button' }, 'Cancel')
  const remove = isNew ? null : element('button', { type: 'button', className: 'danger' }, 'Delete')
  const note = element('span', { className: 'hint', role: 'status' })
  const heading = isNew
    ? `New ${object.one}`
    : `${object.one[0].toUpperCase()}${object.one.slice(1)} ${base[object.idField]}`
  const form = element(
    'form',
    { noValidate: true },
    element('h2', {}, heading),
    element('div', { className: 'fields' }, ...boxes),
    lines ? element('fieldset', {}, element('legend', {}, 'Lines'), lines.node, linesHint) : null,
    element('div', { className: 'actions' }, save, cancel, note, remove),
  )

  async function fieldBox(field) {
    const input = await inputOf(field, base[field.name] ?? (isNew ? field.initial : null), optionsOf)
    const hint = element('span', { className: 'hint' })
    const box = element('label', { className: 'field' }, element('span', {}, field.label), input, hint)
    const control = { field, input, hint, box, shown: input.value }
    input.addEventListener('input', () => box.classList.toggle('touched', !isNew && input.value !== control.shown))
    controls.set(field.name, control)
    return box
  }

  function changes() {
    const body = {}
    for (const { field, input, shown } of controls.values()) {
      if (isNew || input.value !== shown) body[field.name] = fromInput(field, input.value)
    }
    if (lines && (isNew || lines.isTouched())) body[object.lines.name] = lines.read()
    return body
  }

  /** The record has changed elsewhere, or has been read again. */
  function follow(next, nextTitles) {
    for (const { field, input, hint, box, ...control } of controls.values()) {
      const text = toInput(field, next.row[field.name])
      if (text === control.shown) continue
      const isTouched = input.value !== control.shown
      controls.get(field.name).shown = text
      if (!isTouched) input.value = text
      const stillTouched = input.value !== text
      box.classList.toggle('touched', stillTouched)
      hint.className = 'hint'
      hint.replaceChildren(...(stillTouched ? ['Is now ', showValue(field, next.row[field.name], nextTitles)] : []))
    }
    if (lines && JSON.stringify(next.row[object.lines.name]) !== JSON.stringify(base[object.lines.name])) {
      const isKept = lines.follow(next.row[object.lines.name])
      linesHint.textContent = isKept ? 'The lines have changed meanwhile. Saving replaces them.' : ''
    }
    base = next.row
    note.textContent = `Changed meanwhile by ${next.writtenBy}.`
  }

  function showProblem({ field = '', detail }) {
    const control = controls.get(field)
    for (const { box, hint } of controls.values()) {
      box.classList.remove('invalid')
      hint.classList.remove('problem')
    }
    const hint = control?.hint ?? (lines && field.startsWith(object.lines.name) ? linesHint : note)
    hint.classList.add('problem')
    hint.textContent = detail
    control?.box.classList.add('invalid')
    control?.input.focus()
  }

  async function working(action) {
    save.disabled = true
    try {
      await action()
    } finally {
      save.disabled = false
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const body = changes()
    if (Object.keys(body).length === 0) onClose()
    else void working(() => onSave(body))
  })
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') onClose()
  })
  cancel.addEventListener('click', () => onClose())
  remove?.addEventListener('click', () => {
    if (remove.classList.contains('sure')) void working(onDelete)
    remove.classList.add('sure')
    remove.textContent = 'Delete for good'
  })
  remove?.addEventListener('blur', () => {
    remove.classList.remove('sure')
    remove.textContent = 'Delete'
  })
  return { form, follow, showProblem, focus: () => form.querySelector('input:not(:read-only), select')?.focus() }
}

async function inputOf(field, value, optionsOf) {
  if (field.kind === 'choice') {
    const options = field.choices.map((choice) => element('option', { value: choice }, choice.toLowerCase()))
    return withValue(element('select', {}, ...options), value)
  }
  if (field.kind === 'reference') {
    const records = await optionsOf(field.refersTo)
    const options = records.map(({ id, title }) => element('option', { value: String(id) }, `${title} (${id})`))
    if (value !== null && value !== undefined && !records.some(({ id }) => id === value)) {
      options.push(element('option', { value: String(value) }, String(value)))
    }
    return withValue(element('select', {}, ...options), value)
  }
  const isMoney = field.kind === 'cents' || field.kind === 'decimal'
  const input = element('input', {
    type: field.kind === 'email' ? 'email' : 'text',
    inputMode: isMoney ? 'decimal' : field.kind === 'integer' ? 'numeric' : 'text',
    autocomplete: 'off',
    value: toInput(field, value),
  })
  input.readOnly = field.shownOnly === true || field.kind === 'instant'
  return input
}

function withValue(select, value) {
  if (value !== null && value !== undefined) select.value = String(value)
  return select
}

/** The lines of a document, edited and sent as a whole. */
async function createLines(description, initial, optionsOf) {
  const edited = description.fields.filter((field) => field.name !== description.key)
  const reference = edited.find((field) => field.kind === 'reference')
  const products = await optionsOf(reference.refersTo)
  const body = element('tbody')
  const add = element('button', { type: 'button' }, 'Add line')
  const head = element('tr', {}, ...edited.map((field) => element('th', {}, field.label)), element('th'))
  const node = element('div', {}, element('table', {}, element('thead', {}, head), body), add)
  let rows = []
  let shown = ''

  async function addLine(line) {
    const inputs = new Map()
    const cells = []
    for (const field of edited) {
      const input = await inputOf(field, line[field.name], optionsOf)
      input.ariaLabel = field.label
      inputs.set(field.name, input)
      cells.push(element('td', {}, input))
    }
    const drop = element('button', { type: 'button', ariaLabel: 'Remove line' }, 'Remove')
    const row = { key: line[description.key], inputs, node: element('tr', {}, ...cells, element('td', {}, drop)) }
    drop.addEventListener('click', () => {
      rows = rows.filter((other) => other !== row)
      row.node.remove()
      add.focus()
    })
    const price = edited.find((field) => field.kind === 'cents' || field.kind === 'decimal')
    inputs.get(reference.name).addEventListener('change', (event) => {
      const product = products.find(({ id }) => String(id) === event.target.value)
      if (product) inputs.get(price.name).value = toInput(price, product.price)
    })
    rows.push(row)
    body.append(row.node)
    return row
  }

  async function fill(lines) {
    rows = []
    body.replaceChildren()
    for (const line of lines) await addLine(line)
    shown = JSON.stringify(read())
  }

  function read() {
    return rows.map(({ key, inputs }) => {
      const values = edited.map((field) => [field.name, fromInput(field, inputs.get(field.name).value)])
      return { [description.key]: key, ...Object.fromEntries(values) }
    })
  }

  add.addEventListener('click', async () => {
    const product = products[0]
    const quantity = edited.find((field) => field.kind === 'integer')
    const price = edited.find((field) => field.kind === 'cents' || field.kind === 'decimal')
    const key = Math.max(0, ...rows.map((row) => row.key)) + 1
    const values = { [reference.name]: product?.id, [quantity.name]: 1, [price.name]: product?.price }
    const row = await addLine({ [description.key]: key, ...values })
    row.inputs.get(reference.name).focus()
  })
  await fill(initial)
  const isTouched = () => JSON.stringify(read()) !== shown
  return {
    node,
    read,
    isTouched,
    /** Takes the record's new lines, unless the person has edited the old ones; true if those are kept. */
    follow(lines) {
      if (isTouched()) return true
      void fill(lines)
      return false
    },
  }
}

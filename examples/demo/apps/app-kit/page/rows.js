/** The table of records. Rows are kept by id and replaced only when their version has changed, so that nothing jumps. */

import { ago, amountOf, element, isNumeric, showValue } from './values.js'

export function createRows({ app, head, body, onOpen }) {
  let object = null
  let rowsById = new Map()

  function show(nextObject) {
    object = nextObject
    rowsById = new Map()
    body.replaceChildren()
    const columns = object.fields.map((field) =>
      element('th', { className: isNumeric(field) ? 'number' : '' }, field.label),
    )
    const lines = object.lines ? [element('th', {}, 'Lines'), element('th', { className: 'number' }, 'Amount')] : []
    head.replaceChildren(
      element('tr', {}, element('th', {}, 'Id'), ...columns, ...lines, element('th', {}, 'Last change')),
    )
  }

  /** Brings the table to these items; returns the ids that have changed. */
  function update(items, titles, isFirst) {
    const kept = new Map()
    const changedIds = new Set()
    let previous = null
    for (const item of items) {
      const id = item.row[object.idField]
      const known = rowsById.get(id)
      let line = known?.line
      if (known?.item.version !== item.version) {
        line = rowOf(item, titles)
        if (known) known.line.replaceWith(line)
        if (!isFirst) flash(line, item)
        changedIds.add(id)
      }
      kept.set(id, { item, line })
      place(line, previous)
      previous = editorAfter(line) ?? line
    }
    for (const [id, { line }] of rowsById) if (!kept.has(id)) line.remove()
    rowsById = kept
    return changedIds
  }

  function editorAfter(line) {
    return line.nextElementSibling?.classList.contains('editor') ? line.nextElementSibling : null
  }

  function place(line, previous) {
    const expected = previous ? previous.nextElementSibling : body.firstElementChild
    if (expected === line) return
    if (previous) previous.after(line)
    else body.prepend(line)
  }

  function rowOf(item, titles) {
    const { row } = item
    const id = row[object.idField]
    const cells = object.fields.map((field) =>
      element('td', { className: isNumeric(field) ? 'number' : '' }, showValue(field, row[field.name], titles)),
    )
    const lines = object.lines ? linesCells(row[object.lines.name], titles) : []
    const open = element(
      'button',
      { type: 'button', className: 'link', ariaLabel: `Edit ${object.one} ${id}` },
      String(id),
    )
    const line = element('tr', { className: 'record' }, element('td', {}, open), ...cells, ...lines, changeCell(item))
    line.addEventListener('click', () => {
      // A person who marks text to copy it does not want the form.
      if (getSelection().isCollapsed) onOpen(id)
    })
    return line
  }

  function linesCells(lines, titles) {
    const { fields } = object.lines
    const reference = fields.find((field) => field.kind === 'reference')
    const quantity = fields.find((field) => field.kind === 'integer' && field.name !== object.lines.key)
    const text = lines.map((line) => {
      const title = titles[reference.refersTo]?.[line[reference.name]] ?? line[reference.name]
      return `${line[quantity.name]} × ${title}`
    })
    const shown = text.length > 2 ? [...text.slice(0, 2), `and ${text.length - 2} more`] : text
    const list = shown.map((part) => element('div', { className: 'nowrap' }, part))
    return [
      element('td', { title: text.join('\n') }, ...list),
      element('td', { className: 'number' }, amountOf(lines, object.lines)),
    ]
  }

  function changeCell({ row, version, writtenBy }) {
    const kind = writtenBy === 'api' ? 'api' : writtenBy === 'seed' ? '' : 'person'
    const time = row[app.names.changedAt]
    const revision = app.legacy ? '' : `rev ${version} · `
    return element(
      'td',
      { className: 'changed' },
      element('span', { className: `chip ${kind}` }, writtenBy),
      revision,
      element('time', { dateTime: time, title: time }, ago(time)),
    )
  }

  function flash(line, { writtenBy }) {
    line.classList.add(writtenBy === 'api' ? 'flash-api' : 'flash-person')
  }

  function tick() {
    for (const { line } of rowsById.values()) {
      const time = line.querySelector('time')
      time.textContent = ago(time.dateTime)
    }
  }

  return {
    show,
    update,
    tick,
    itemOf: (id) => rowsById.get(id)?.item ?? null,
    lineOf: (id) => rowsById.get(id)?.line ?? null,
  }
}

/** The page of an application: which object is shown, who sits in front of it, and what happens when something changes. */

import { createForm } from './form.js'
import { createRows } from './rows.js'
import { element } from './values.js'

const rowsShownMax = 200
const optionsMax = 1000
const byId = (id) => document.getElementById(id)
const app = await (await fetch('/app.json')).json()
const rows = createRows({ app, head: byId('head'), body: byId('rows'), onOpen: (id) => void openRecord(id) })
const state = { object: app.objects[0], search: '', titles: {}, editor: null, isFirst: true }
/** Set while a refresh runs; `again` if something has changed since it began. */
let refreshing = null
let refreshAgain = false

const actor = byId('actor')
actor.value = localStorage.getItem('actor') ?? 'Alex'
actor.addEventListener('change', () => localStorage.setItem('actor', actor.value))

function headers(more = {}) {
  return { 'x-actor': encodeURIComponent(actor.value.trim() || 'Somebody'), ...more }
}

async function getRows(object, search, limit) {
  const query = new URLSearchParams({ object, search, limit })
  const response = await fetch(`/_page/rows?${query}`, { headers: headers() })
  if (!response.ok) throw new Error(`The application answered ${response.status}.`)
  return response.json()
}

/** One refresh at a time, however often the application says that something has changed. */
async function refresh() {
  refreshAgain = refreshing !== null
  if (refreshing) return refreshing
  refreshing = load()
  try {
    await refreshing
  } catch (error) {
    setLive(false)
    console.warn(error)
  } finally {
    refreshing = null
  }
  if (refreshAgain) await refresh()
}

async function load() {
  const { object, search } = state
  const { items, total, counts, titles } = await getRows(object.name, search, rowsShownMax)
  if (object !== state.object || search !== state.search) {
    refreshAgain = true
    return
  }
  state.titles = titles
  const changed = rows.update(items, titles, state.isFirst)
  state.isFirst = false
  showCounts(counts)
  byId('summary').textContent =
    items.length < total ? `The newest ${items.length} of ${total}` : `${total} ${search ? 'found' : 'in all'}`
  byId('empty').hidden = items.length > 0
  byId('empty').textContent = search ? `No ${object.one} matches “${search}”.` : `No ${object.label.toLowerCase()} yet.`
  followEditor(changed)
}

function followEditor(changed) {
  const { editor } = state
  if (!editor || editor.id === null) return
  const item = rows.itemOf(editor.id)
  if (!item) {
    closeEditor()
    toast('The record that you had open is no longer in the list.', true)
    return
  }
  rows.lineOf(editor.id).classList.add('open')
  rows.lineOf(editor.id).after(editor.holder)
  if (changed.has(editor.id) && item.version !== editor.version) {
    editor.version = item.version
    editor.follow(item, state.titles)
  }
}

function showCounts(counts) {
  for (const link of byId('tabs').children) link.querySelector('.count').textContent = counts[link.dataset.object]
}

async function optionsOf(name) {
  const object = app.objects.find((candidate) => candidate.name === name)
  const price = object.fields.find((field) => field.kind === 'cents' || field.kind === 'decimal')
  const { items } = await getRows(name, '', optionsMax)
  return items.map(({ row }) => ({ id: row[object.idField], title: row[object.titleField], price: row[price.name] }))
}

async function openRecord(id) {
  if (state.editor?.id === id) return closeEditor()
  closeEditor()
  await openEditor(id, rows.itemOf(id))
}

async function openEditor(id, item) {
  const { object } = state
  const opened = await createForm({
    object,
    item,
    optionsOf,
    onSave: (body) => save(body),
    onDelete: () => deleteOpened(),
    onClose: closeEditor,
  })
  if (object !== state.object || (id !== null && !rows.lineOf(id))) return
  closeEditor()
  const columns = byId('head').firstElementChild.childElementCount
  const holder =
    id === null ? opened.form : element('tr', { className: 'editor' }, element('td', { colSpan: columns }, opened.form))
  state.editor = { id, holder, version: item?.version, follow: opened.follow, showProblem: opened.showProblem }
  if (id === null) byId('new-record').replaceChildren(holder)
  else {
    rows.lineOf(id).classList.add('open')
    rows.lineOf(id).after(holder)
  }
  opened.focus()
}

function closeEditor() {
  const { editor } = state
  if (!editor) return
  state.editor = null
  editor.holder.remove()
  const line = editor.id === null ? null : rows.lineOf(editor.id)
  line?.classList.remove('open')
  const back = line?.querySelector('button') ?? byId('create')
  back.focus()
}

async function save(body) {
  const { editor, object } = state
  const isNew = editor.id === null
  const response = await send(
    isNew ? 'POST' : 'PATCH',
    isNew ? `/${object.name}` : `/${object.name}/${editor.id}`,
    body,
  )
  if (!response) return
  if (state.editor === editor) closeEditor()
  toast(isNew ? `The ${object.one} has been created.` : 'Saved.')
  await refresh()
}

async function deleteOpened() {
  const { editor, object } = state
  if (!(await send('DELETE', `/${object.name}/${editor.id}`))) return
  if (state.editor === editor) closeEditor()
  toast(`The ${object.one} ${editor.id} has been deleted.`)
  await refresh()
}

/** Sends a write under the condition that the record is still as the form shows it; null where it was refused. */
async function send(method, path, body) {
  const { editor } = state
  const more = { 'content-type': 'application/json' }
  if (editor.id !== null && !app.legacy) more['if-match'] = `"${editor.version}"`
  let response
  try {
    const content = body === undefined ? {} : { body: JSON.stringify(body) }
    response = await fetch(path, { method, headers: headers(more), ...content })
  } catch {
    editor.showProblem({ detail: 'The application cannot be reached.' })
    return null
  }
  if (response.ok) return response
  const problem = await response.json()
  if (response.status === 412) {
    await refresh()
    editor.showProblem({ detail: 'This record has just been changed by somebody else. Look at it, then save again.' })
  } else editor.showProblem(problem)
  return null
}

function toast(text, isProblem = false) {
  const node = element('div', { className: isProblem ? 'toast problem' : 'toast' }, text)
  byId('toasts').append(node)
  setTimeout(() => node.remove(), 4000)
}

function setLive(isLive) {
  byId('live').classList.toggle('on', isLive)
  byId('live').textContent = isLive ? 'Live' : 'Reconnecting'
}

function showObject() {
  const name = location.hash.slice(1)
  closeEditor()
  state.object = app.objects.find((object) => object.name === name) ?? app.objects[0]
  state.search = byId('search').value = ''
  state.isFirst = true
  for (const link of byId('tabs').children) {
    if (link.dataset.object === state.object.name) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  byId('create').textContent = `New ${state.object.one}`
  rows.show(state.object)
  void refresh()
}

function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement
}

for (const { name, label } of app.objects) {
  const link = element('a', { href: `#${name}` }, label, element('span', { className: 'count' }))
  link.dataset.object = name
  byId('tabs').append(link)
}
byId('create').addEventListener('click', () => void openEditor(null, null))
byId('search').addEventListener('input', (event) => {
  state.search = event.target.value.trim()
  state.isFirst = true
  void refresh()
})
addEventListener('keydown', (event) => {
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return
  const action = { '/': () => byId('search').focus(), n: () => byId('create').click() }[event.key]
  if (!action) return
  event.preventDefault()
  action()
})
addEventListener('hashchange', showObject)
setInterval(() => rows.tick(), 5000)
const stream = new EventSource('/_page/stream')
stream.addEventListener('open', () => setLive(true))
stream.addEventListener('error', () => setLive(false))
stream.addEventListener('message', () => void refresh())
showObject()

import fc from 'fast-check'
import type { BindingModel } from '../model/entity.ts'
import { type Image, type NativeRecord, type Path, partPath, type Value, valuesEqual } from '../model/value.ts'
import { canHold } from './laws.ts'
import { type DeclaredEntity, type FieldEnd, type FieldSite, sitesOf } from './sites.ts'
import { valuesOf } from './values.ts'

/** Records for a sandbox: plain ones, such as a careful person would enter to see whether it works. */

const ELEMENT_KEY = '1'
const SAMPLES = 300

export class Samples {
  readonly binding: BindingModel
  readonly #declared: DeclaredEntity
  readonly #sites: readonly FieldSite[]
  /** What makes the texts of this run its own. */
  readonly #tag: string

  constructor(declared: DeclaredEntity, binding: BindingModel, tag: string) {
    this.binding = binding
    this.#declared = declared
    this.#sites = sitesOf(declared)
    this.#tag = tag
  }

  /** The native values of the n-th record; `referred` gives the id of a record of another entity. Fields for which nothing could be made up are left out. */
  image(n: number, referred: (entity: string) => string | undefined): Image {
    const image: Record<Path, Value> = {}
    const put = (prefix: Path, site: FieldSite): void => {
      const natives = this.#natives(site, n, referred)
      for (const [name, value] of Object.entries(natives ?? {})) image[prefix + name] = value
    }
    for (const site of this.#sites) if (!site.path.includes('.')) put('', site)
    for (const part of this.binding.parts) {
      image[part.container] = true
      const element = partPath(part.container, ELEMENT_KEY)
      image[element] = true
      for (const site of this.#sites) if (site.path.startsWith(`${part.part}.`)) put(`${element}.`, site)
    }
    return image
  }

  /** The native values of the field that the probes change, for the n-th time; null where the hub writes no field that they can tell apart. */
  edited(n: number): Image | null {
    const match = this.#declared.model.match ?? []
    const candidates = this.#sites.filter(({ path, model, ends }) => {
      const end = ends.find(({ app }) => app === this.binding.app)
      const isPlain = model.reference === undefined && !path.includes('.') && !match.includes(path)
      return isPlain && end?.mapping.direction === 'both'
    })
    for (const site of candidates) {
      const [first, second] = [this.#natives(site, n, () => undefined), this.#natives(site, n + 1, () => undefined)]
      if (first === null || second === null) continue
      if (Object.keys(first).some((name) => !valuesEqual(first[name], second[name]))) return first
    }
    return null
  }

  create(image: Image): NativeRecord {
    return this.binding.unflatten({ ...this.binding.onCreate, ...image })
  }

  #natives(
    site: FieldSite,
    n: number,
    referred: (entity: string) => string | undefined,
  ): Readonly<Record<string, Value>> | null {
    const end = site.ends.find(({ app }) => app === this.binding.app)
    if (end === undefined || end.mapping.encode === null) return null
    if (site.model.reference !== undefined) {
      const id = referred(site.model.reference)
      return id === undefined ? null : end.mapping.encode(id)
    }
    const value = this.#value(site, end, n)
    return value === undefined ? null : end.mapping.encode(value)
  }

  #value(site: FieldSite, end: FieldEnd, n: number): Value | undefined {
    const isMail = /mail/i.test([site.path, ...end.mapping.natives].join())
    const mail = `certify-${this.#tag}-${n}@example.com`
    const text = `certify-${this.#tag}-${n}`
    const plain: readonly Value[] = [...(isMail ? [mail] : [text, mail]), `C${this.#tag}${n}`, `${n}.00`, n, `${n}`]
    const fits = (value: Value): boolean =>
      isValid(site, value) && (end.mapping.decode === null || canHold(site, end, value))
    const made = valuesOf(site.schema)
    const more = made === null ? [] : (fc.sample(made, { seed: 3, numRuns: SAMPLES }) as Value[])
    const others = more.filter(
      (value) => value !== null && value !== '' && !String(value).startsWith('-') && fits(value),
    )
    return plain.find(fits) ?? (others.length === 0 ? undefined : others[n % others.length])
  }
}

function isValid({ model }: FieldSite, value: Value): boolean {
  try {
    return valuesEqual(model.validate(value), value)
  } catch {
    return false
  }
}

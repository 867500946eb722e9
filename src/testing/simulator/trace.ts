/**
 * What happened, as a number and (on demand) as lines to read. The hash is always kept, so that two runs of one seed can be
 * compared without writing anything down.
 */
export class Trace {
  readonly lines: string[] = []
  readonly isOn: boolean
  #hash = 0x811c9dc5

  constructor(isOn: boolean) {
    this.isOn = isOn
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  mix(text: string, number: number): void {
    let hash = this.#hash
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    hash = Math.imul(hash ^ (number | 0), 0x01000193)
    this.#hash = Math.imul(hash ^ Math.floor(number / 0x1_0000_0000), 0x01000193)
  }

  /** The lines with long ids replaced by what people call things. */
  readable(names: ReadonlyMap<string, string>): string[] {
    return this.lines.map((line) => {
      let text = line.replaceAll('sim.1.', '')
      for (const [id, name] of names) text = text.replaceAll(id, name)
      return text
    })
  }

  /** Only to be called when `isOn`: texts are dear. */
  say(atMs: number, who: string, text: string): void {
    this.lines.push(`${(atMs / 1000).toFixed(3).padStart(9)}  ${who.padEnd(10)} ${text}`)
  }
}

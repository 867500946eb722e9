/** Aligned columns. Widths count characters as a terminal shows them, without their colour. */

export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Numbers stand on the right. */
  readonly isNumber?: boolean
}

const GAP = '  '

export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  style: (text: string) => string = (text) => text,
): string {
  const cells = rows.map((row) => columns.map((column) => oneLine(column.text(row))))
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((line) => visibleLength(line[i] ?? ''))),
  )
  const align = (line: readonly string[]): string =>
    line
      .map((text, i) => {
        const space = ' '.repeat((widths[i] ?? 0) - visibleLength(text))
        if (columns[i]?.isNumber === true) return space + text
        return i === line.length - 1 ? text : text + space
      })
      .join(GAP)
      .trimEnd()
  return [style(align(columns.map((column) => column.title))), ...cells.map(align)].join('\n')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of colour begin with one.
const COLOUR = /\u001b\[[0-9;]*m/g

export const visibleLength = (text: string): number => text.replace(COLOUR, '').length

/** A value of a record must not break the table, nor steer the terminal. */
export const oneLine = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be shown as a space; colour stays.
  text.replace(/(\u001b\[[0-9;]*m)|[\u0000-\u001f\u007f-\u009f]+/g, (_, colour: string | undefined) => colour ?? ' ')

export function shorten(text: string, lengthMax: number): string {
  const line = oneLine(text)
  return line.length <= lengthMax ? line : `${line.slice(0, Math.max(1, lengthMax - 1))}…`
}

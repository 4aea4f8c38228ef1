// Comma-separated values as RFC 4180 has them, read back into rows.

/** Rows of cells; quoted cells may hold commas, quotes (doubled) and line breaks. */
export function parseCsv(text) {
  const rows = []
  let row = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|$)/y
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex
    const match = cell.exec(text)
    if (!match) throw new Error(`not CSV at character ${at}: ${JSON.stringify(text.slice(at, at + 40))}`)
    row.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'))
    if (match[3] === ',') continue
    rows.push(row)
    row = []
  }
  return rows
}

/** One object per row, named by the first one; every row must be as long as that. */
export function csvRecords(text) {
  const [names, ...rows] = parseCsv(text)
  return rows.map((row, index) => {
    if (row.length !== names.length) throw new Error(`row ${index + 1} has ${row.length} cells, expected ${names.length}`)
    return Object.fromEntries(names.map((name, column) => [name, row[column]]))
  })
}

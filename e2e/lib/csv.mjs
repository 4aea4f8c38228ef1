// Parses comma-separated values (RFC 4180).

/** Rows of cells; quoted cells may contain commas, doubled quotes and line breaks. */
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

/** One object per row; the first row contains the names, and every row must have the same length. */
export function csvRecords(text) {
  const [names, ...rows] = parseCsv(text)
  return rows.map((row, index) => {
    if (row.length !== names.length) throw new Error(`row ${index + 1} has ${row.length} cells, expected ${names.length}`)
    return Object.fromEntries(names.map((name, column) => [name, row[column]]))
  })
}

// Medians, quantiles and Markdown tables.

/** The value below which `share` (0 to 1) of the values lie; NaN without values. */
export function quantile(values, share) {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length / 2
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The text of a cell: strings unchanged, numbers with one decimal below 10. */
function cell(value) {
  if (typeof value !== 'number') return value
  if (Number.isNaN(value)) return '–'
  return Number(value.toFixed(Math.abs(value) < 10 ? 1 : 0)).toLocaleString('en-US')
}

/** A table in Markdown; numbers are right-aligned. */
export function table(head, rows) {
  const isNumber = (column) => rows.every((row) => typeof row[column] === 'number')
  const rule = head.map((_, column) => (isNumber(column) ? '---:' : '---'))
  return [head, rule, ...rows.map((row) => row.map(cell))].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

// Judges the suite's results against the list of what is left out: no I/O, so that it can be tested.

const SEPARATOR = ' > '

/**
 * Sorts results into what counts and what is left out.
 *
 * - `results`: `{ name, state, error }`, `name` with the describe blocks joined by ` > `, `state` as vitest gives it
 *   (`passed`, `failed`, `skipped`).
 * - `leftOut`: entries `{ part, suite }` or `{ part, test }`.
 * - Returns `passed` and `failed` (results that count), `absent` (left out, not passing), `surprises` (left out, yet
 *   passing) and `idle` (entries that match nothing).
 */
export function judge(results, leftOut) {
  const matched = new Set()
  const verdict = { passed: [], failed: [], absent: [], surprises: [], idle: [] }
  for (const result of results) {
    const entry = leftOut.find((candidate) => covers(candidate, result.name))
    if (entry) {
      matched.add(entry)
      const known = { ...result, part: entry.part }
      if (result.state === 'passed') verdict.surprises.push(known)
      else verdict.absent.push(known)
    } else if (result.state === 'passed') {
      verdict.passed.push(result)
    } else {
      verdict.failed.push(result)
    }
  }
  verdict.idle = leftOut.filter((entry) => !matched.has(entry))
  return verdict
}

/** Whether `entry` names the test `name` or a describe block above it. */
function covers(entry, name) {
  return entry.test === undefined ? name.startsWith(entry.suite + SEPARATOR) : name === entry.test
}

/** How many results there are per part: `{ forks: 41, ... }`. */
export function countByPart(results) {
  const counts = {}
  for (const { part } of results) counts[part] = (counts[part] ?? 0) + 1
  return counts
}

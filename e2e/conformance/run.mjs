// Runs the Durable Streams conformance suite against a running server and judges the result.
//
//   BASE_URL=http://127.0.0.1:4437 node conformance/run.mjs [-t NAME_PATTERN] [-v]
//
// The server must hold long-polls for 500 ms (`tailwater serve --long-poll-hold 500ms`), or say LONG_POLL_MS.
import { fileURLToPath } from 'node:url'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'
import { countByPart, judge } from './judge.mjs'
import { leftOut } from './left-out.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const baseUrl = process.env.BASE_URL ?? 'http://127.0.0.1:4437'
const longPollTimeoutMs = Number(process.env.LONG_POLL_MS ?? 500)

const { values: options } = parseArgs({
  options: {
    pattern: { type: 'string', short: 't' },
    verbose: { type: 'boolean', short: 'v', default: false },
  },
})

async function main() {
  await requireServer()
  console.log(`conformance suite against ${baseUrl}, long-polls held ${longPollTimeoutMs} ms`)
  const results = await runSuite()
  if (results.length === 0) {
    console.log('No test ran: the pattern matches nothing.')
    return 1
  }
  return report(judge(results, leftOut))
}

/** Fails early, and in one line, when nothing listens. */
async function requireServer() {
  try {
    await fetch(new URL('/v1/stream/conformance-probe', baseUrl), { method: 'HEAD', signal: AbortSignal.timeout(5_000) })
  } catch (fault) {
    console.error(`No server answers at ${baseUrl} (${fault.cause?.code ?? fault.message}). Start one:`)
    console.error('  tailwater serve --long-poll-hold 500ms')
    process.exit(2)
  }
}

/** Every test's full name, state and first error. */
async function runSuite() {
  const progress = new Progress()
  const vitest = await startVitest('test', [], {
    root: here,
    config: false,
    include: ['suite.mjs'],
    watch: false,
    run: true,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    passWithNoTests: true,
    testNamePattern: options.pattern,
    reporters: [progress],
    provide: { baseUrl, longPollTimeoutMs },
  })
  if (!vitest) throw new Error('vitest did not start')
  const results = progress.results
  const faults = [...vitest.state.getUnhandledErrors()]
  for (const module of vitest.state.getTestModules()) faults.push(...module.errors())
  await vitest.close()
  // vitest sets the exit code by its own count, which knows nothing of what is left out.
  process.exitCode = 0
  for (const fault of faults) results.push({ name: 'outside any test', state: 'failed', error: fault.message ?? String(fault) })
  return results
}

/** A vitest reporter that keeps the results and shows that something is going on. */
class Progress {
  results = []

  onTestCaseResult(testCase) {
    const { state, errors } = testCase.result()
    if (state === 'skipped' && options.pattern) return
    const error = errors?.map((fault) => fault.message).join('\n')
    this.results.push({ name: testCase.fullName, state, error })
    if (this.results.length % 50 === 0) console.log(`  ${this.results.length} tests done`)
  }
}

/** Prints the verdict; returns the exit code. */
function report({ passed, failed, absent, surprises, idle }) {
  for (const { name, state, error } of failed) {
    console.log(`\nFAILED  ${name}${state === 'failed' ? '' : ` (${state})`}`)
    if (error) console.log(indent(firstLines(error, 12)))
  }
  const parts = Object.entries(countByPart(absent)).map(([part, count]) => `${part} ${count}`)
  console.log(`\nLeft out in this release: ${absent.length} (${parts.join(', ') || 'none'})`)
  if (options.verbose) for (const { name, error } of absent) console.log(`  ${name}\n${indent(firstLines(error ?? '', 2))}`)
  if (surprises.length > 0) {
    console.log(`Left out, yet passing: ${surprises.length}; take off the list in conformance/left-out.mjs what the server now promises:`)
    const shown = options.verbose ? surprises : surprises.slice(0, 20)
    for (const { name } of shown) console.log(`  ${name}`)
    if (shown.length < surprises.length) console.log(`  ... and ${surprises.length - shown.length} more (-v shows all)`)
  }
  // With a pattern most entries have nothing to match.
  const stale = options.pattern ? [] : idle
  for (const entry of stale) console.log(`FAILED  the list names what the suite does not have: ${entry.suite ?? entry.test}`)
  console.log(`\nconformance: ${passed.length} passed, ${failed.length + stale.length} failed, ${absent.length + surprises.length} left out`)
  return failed.length + stale.length > 0 ? 1 : 0
}

function firstLines(text, count) {
  return text.split('\n').slice(0, count).join('\n')
}

function indent(text) {
  return text.replaceAll(/^/gm, '    ')
}

process.exitCode = await main()

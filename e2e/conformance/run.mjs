// Runs the Durable Streams conformance suite against a running server.
//
//   BASE_URL=http://127.0.0.1:4437 node conformance/run.mjs [-t NAME_PATTERN]
//
// The server must hold long-polls for 500 ms (`tailwater serve --long-poll-hold 500ms`); otherwise set LONG_POLL_MS.
import { fileURLToPath } from 'node:url'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'

const here = dirname(fileURLToPath(import.meta.url))
const baseUrl = process.env.BASE_URL ?? 'http://127.0.0.1:4437'
/** The number of tests of the suite, including subscriptions, to detect tests that did not run. */
const TESTS = 338
const longPollTimeoutMs = Number(process.env.LONG_POLL_MS ?? 500)

const { values: options } = parseArgs({
  options: {
    pattern: { type: 'string', short: 't' },
  },
})

async function main() {
  await requireServer()
  console.log(`conformance suite against ${baseUrl}, long-polls held ${longPollTimeoutMs} ms`)
  const results = await runSuite()
  if (results.length === 0) {
    console.log('No tests ran: the pattern matches none.')
    return 1
  }
  return report(results)
}

/** Fails with a short message when no server is running. */
async function requireServer() {
  try {
    await fetch(`${baseUrl}/v1/stream/conformance-probe`, { method: 'HEAD', signal: AbortSignal.timeout(5_000) })
  } catch (fault) {
    console.error(`No server is running at ${baseUrl} (${fault.cause?.code ?? fault.message}). Start one:`)
    console.error('  tailwater serve --long-poll-hold 500ms')
    process.exit(2)
  }
}

/** The full name, state and error of every test. */
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
  for (const fault of faults) results.push({ name: 'outside any test', state: 'failed', error: fault.message ?? String(fault) })
  return results
}

/** A vitest reporter that collects the results and prints its progress. */
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

/** Prints the result; returns the exit code. A skipped test counts as failed. */
function report(results) {
  const failed = results.filter(({ state }) => state !== 'passed')
  for (const { name, state, error } of failed) {
    console.log(`\nFAILED  ${name}${state === 'failed' ? '' : ` (${state})`}`)
    if (error) console.log(indent(firstLines(error, 12)))
  }
  const missing = options.pattern ? 0 : TESTS - results.length
  if (missing !== 0) console.log(`\nFAILED  ${results.length} tests ran, the suite has ${TESTS}`)
  const count = failed.length + (missing === 0 ? 0 : 1)
  console.log(`\nconformance: ${results.length - failed.length} passed, ${count} failed`)
  return count > 0 ? 1 : 0
}

function firstLines(text, count) {
  return text.split('\n').slice(0, count).join('\n')
}

function indent(text) {
  return text.replaceAll(/^/gm, '    ')
}

process.exitCode = await main()

// Opens the Race page many times and checks its verdicts.
//
//   cargo xtask bench verdicts [--starts 50] [--seconds 20]
//
// The starts alternate between idle and loaded processors (a busy loop on each), delays of 0 and 50 ms each way, host and
// generator, Poisson and periodic, and poll intervals of 250 ms and 1 s (20 s are too short to judge the latter). The theory is
// correct, so no verdict may be "refuted". At 50 ms each measurement is also judged against three wrong theories: a whole
// interval instead of half, no transit, no re-arm gap. None may be confirmed. A theory is skipped if its error is less than
// twice the tolerance of the judge: then one measurement can agree with both theories.
import { spawn } from 'node:child_process'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { launch } from '../lib/chromium.mjs'
import { table } from '../lib/figures.mjs'
import { RacePage } from '../lib/race-page.mjs'
import { Server } from '../lib/server.mjs'
import { pause } from '../lib/until.mjs'

const { values } = parseArgs({ options: { starts: { type: 'string', default: '50' }, seconds: { type: 'string', default: '20' } } })
const [starts, seconds] = [Number(values.starts), Number(values.seconds)]
const JUDGE = process.env.TAILWATER_JUDGE ?? fileURLToPath(new URL('../../target/debug/examples/judge', import.meta.url))
const SOURCES = ['', 'pattern=periodic', 'source=generator&rate=20', 'source=generator&pattern=periodic']

/** The settings of start `index`. */
function setting(index) {
  const [delayed, loaded, source] = [index % 2 === 1, index % 4 >= 2, SOURCES[Math.floor(index / 4) % SOURCES.length]]
  const delay = delayed ? 50 : 0
  const interval = Math.floor(index / 16) % 2 ? 1_000 : 250
  return { delay, loaded, source, interval, query: `?up=${delay}&down=${delay}&interval=${interval}&${source}` }
}

/** Starts a busy loop on each processor, and returns a function that stops them. */
function load() {
  const workers = os.cpus().map(() => new Worker('for (;;) Math.sqrt(Math.random())', { eval: true }))
  return () => Promise.all(workers.map((worker) => worker.terminate()))
}

/** The result of one start, as exported by the page. */
async function measure(browser, server, { query, loaded }) {
  const context = await browser.newContext({ acceptDownloads: true })
  const unload = loaded ? load() : async () => {}
  try {
    const race = await RacePage.open(context, server, query)
    await pause(seconds * 1_000)
    return JSON.parse((await race.export('export-json')).text)
  } finally {
    await unload()
    await context.close()
  }
}

/** Wrong theories about a lane with a delay, each with the mean that it predicts. */
function planted(lane, result) {
  const { predicted } = lane.verdict.numbers.claim
  const { pollIntervalMs, delayUpMs, delayDownMs } = result.settings
  const wrong = [['no transit', predicted - delayDownMs]]
  if (lane.technique === 'poll') wrong.push(['a whole interval', predicted + pollIntervalMs / 2])
  const poisson = !/periodic/.test(result.url)
  if (lane.technique === 'long-poll' && poisson) {
    const gap = (delayUpMs + delayDownMs) / 1_000
    const rate = result.eventsPerSecond
    const beta = rate * gap + Math.exp(-rate * gap)
    wrong.push(['no re-arm gap', predicted - (1_000 * rate * gap * gap) / 2 / beta])
  }
  return wrong
}

/** The verdict of the judge on each case, as a line of text. */
async function judge(cases) {
  const child = spawn(JUDGE, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(cases.map((one) => JSON.stringify(one)).join('\n') + '\n')
  let text = ''
  for await (const piece of child.stdout) text += piece
  return text.trim().split('\n')
}

const server = await Server.start()
const browser = await launch()
const COUNTS = ['confirmed', 'refuted', 'busy', 'inconclusive', 'planted', 'planted refuted', 'planted confirmed']
const counts = new Map()
const wrong = []
const count = (setting, kind) => {
  const key = `${setting.loaded ? 'loaded' : 'idle'}, ${setting.delay} ms`
  const row = counts.get(key) ?? Object.fromEntries(COUNTS.map((name) => [name, 0]))
  row[kind] += 1
  counts.set(key, row)
}
for (let index = 0; index < starts; index += 1) {
  const wanted = setting(index)
  const result = await measure(browser, server, wanted)
  for (const lane of result.lanes.filter((lane) => lane.verdict)) {
    const { numbers, line } = lane.verdict
    count(wanted, numbers.finding.why?.doubt === 'client-busy' ? 'busy' : numbers.finding.finding)
    if (numbers.finding.finding === 'refuted') wrong.push(`start ${index} ${JSON.stringify(wanted)}, ${lane.technique}: ${line}`)
    if (wanted.delay === 0) continue
    const cases = planted(lane, result)
      .map(([name, predicted]) => [name, { ...numbers, claim: { ...numbers.claim, predicted } }])
      .filter(([, one]) => Math.abs(one.claim.predicted - numbers.claim.predicted) > 2 * numbers.allowed)
    const judged = cases.length ? await judge(cases.map(([, one]) => one)) : []
    judged.forEach((words, at) => {
      count(wanted, 'planted')
      if (words.startsWith('REFUTED')) count(wanted, 'planted refuted')
      if (!words.startsWith('CONFIRMED')) return
      count(wanted, 'planted confirmed')
      wrong.push(`start ${index} ${JSON.stringify(wanted)}, ${lane.technique}, ${cases[at][0]}: ${words}`)
    })
  }
}
await browser.close()
await server.stop()
console.log(table(['starts', ...COUNTS], [...counts].map(([name, row]) => [name, ...COUNTS.map((name) => row[name])])))
for (const words of wrong) console.log(words)
process.exit(wrong.length ? 1 : 0)

// Measures the Race page in Chromium and prints the section of BENCHMARKS.md about it.
//
//   cargo xtask bench page [--rounds 5] [--rate 1000] [--seconds 20] [--minutes 1] [--size 200] [--query 'up=50&down=50']
//
// - Size: every file of the page, uncompressed and in brotli, as sent by the server.
// - Start: a new browser with an empty cache opens `/`; times of paints, of the built page, and of events in the first and in every lane.
// - Load: `--rate` events per second in five lanes for `--seconds`: long tasks, frames, use of the main thread.
// - Memory: the same load for `--minutes`, heap after garbage collection before and after it; 0 to skip it.
//
// The processor time of a task is that of the main thread; its wall time includes other work of the machine.
// Server and browser share the machine. Rounds of start and load alternate; medians of all rounds are printed.
import { get } from 'node:http'
import os from 'node:os'
import { parseArgs } from 'node:util'
import { launch } from '../lib/chromium.mjs'
import { median, quantile, table } from '../lib/figures.mjs'
import { collect, install, paints, tasksOfMainThread } from '../lib/page-meter.mjs'
import { RacePage, TECHNIQUES } from '../lib/race-page.mjs'
import { BINARY, Server } from '../lib/server.mjs'
import { pause, until } from '../lib/until.mjs'

/** Time after every lane is live that still counts as the start. */
const SETTLE_MS = 5_000
const SOON_MS = 60_000
/** The browser's definition of a long task, ms; also the limit for tasks after the start. */
const LONG_MS = 50
/** A frame that takes longer is late: the interval of 30 frames per second plus one frame. */
const LATE_MS = 1_000 / 30 + 1_000 / 60

function options() {
  const number = (value) => ({ type: 'string', default: String(value) })
  const { values } = parseArgs({
    options: {
      rounds: number(5), rate: number(1_000), seconds: number(20), minutes: number(1), size: number(200),
      query: { type: 'string', default: '' },
    },
  })
  const { query, ...numbers } = values
  const settings = Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, Number(text)]))
  for (const [name, value] of Object.entries(settings)) {
    if (!(value >= 0)) throw new Error(`--${name}: expected a number, got ${numbers[name]}`)
  }
  return { ...settings, query }
}

/** Size and text of the response body for `path` in `encoding`. */
function responseSize(url, path, encoding) {
  return new Promise((resolve, reject) => {
    get(`${url}${path}`, { headers: { 'accept-encoding': encoding } }, (response) => {
      let [bytes, text] = [0, '']
      response.on('data', (piece) => { bytes += piece.length; text += piece })
      response.on('end', () => (response.statusCode === 200 ? resolve({ bytes, text }) : reject(new Error(`${path}: ${response.statusCode}`))))
    }).on('error', reject)
  })
}

/** Rows of `[kind, bytes, bytes in brotli]`. */
async function sizes(url) {
  const { text } = await responseSize(url, '/', 'identity')
  const paths = ['/', '/worker.js', ...new Set([...text.matchAll(/(?:href|from|module_or_path:)[=\s]*["']?(\/[^"'\s>]+)/g)].map(([, path]) => path))]
  const kinds = { wasm: 'wasm', js: 'JavaScript', rest: 'page, styles, icon' }
  const sums = Object.fromEntries(Object.values(kinds).map((kind) => [kind, [0, 0]]))
  for (const path of paths) {
    const sum = sums[kinds[path.split('.').pop()] ?? kinds.rest]
    sum[0] += (await responseSize(url, path, 'identity')).bytes
    sum[1] += (await responseSize(url, path, 'br')).bytes
  }
  if (sums.wasm[0] === 0) throw new Error(`${BINARY} was built without the dashboard; cargo xtask bench page builds it`)
  const rows = Object.entries(sums).map(([kind, [plain, brotli]]) => [kind, plain, brotli])
  return [...rows, ['all', ...[1, 2].map((column) => rows.reduce((sum, row) => sum + row[column], 0))]]
}

/** Opens a Race page in a new browser, and calls `look` with it. */
async function inBrowser(server, query, look) {
  const browser = await launch(['--enable-precise-memory-info'])
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US' })
    await context.addInitScript(install)
    const race = await RacePage.open(context, server, query)
    const outcome = await look(race, await context.newCDPSession(race.page), browser)
    const losses = await race.losses()
    if (losses.length + race.pageErrors.length > 0) throw new Error([...losses, ...race.pageErrors].join('\n'))
    return outcome
  } finally {
    await browser.close()
  }
}

/** A cold start of `/`. */
async function start(server) {
  return inBrowser(server, '', async (race) => {
    const seen = {}
    await until('every lane shows an event', SOON_MS, async () => {
      Object.assign(seen, await collect(race.page))
      return TECHNIQUES.every((technique) => technique in seen.laneAt)
    }, () => JSON.stringify(seen.laneAt))
    const painted = await paints(race.page)
    const lanes = Object.values(seen.laneAt)
    return {
      'first paint': painted['first-paint'],
      'first contentful paint': painted['first-contentful-paint'],
      'page built': seen.builtAt,
      'first lane shows an event': Math.min(...lanes),
      'last lane but polling': Math.max(...TECHNIQUES.filter((name) => name !== 'poll').map((name) => seen.laneAt[name])),
      'every lane shows an event': Math.max(...lanes),
    }
  })
}

async function metrics(session) {
  const { metrics: list } = await session.send('Performance.getMetrics')
  return Object.fromEntries(list.map(({ name, value }) => [name, value]))
}

/** Opens a page under load and calls `look` after its start. */
async function loaded(server, settings, look) {
  const query = `?source=generator&rate=${settings.rate}&size=${settings.size}${settings.query && `&${settings.query}`}`
  return inBrowser(server, query, async (race, session, browser) => {
    await session.send('Performance.enable')
    await race.waitForState('live', SOON_MS)
    await pause(SETTLE_MS)
    return look(race, session, browser)
  })
}

/** Measures `--seconds` under load. */
async function load(server, settings) {
  return loaded(server, settings, async (race, session, browser) => {
    const begun = await collect(race.page)
    await browser.startTracing(race.page, { categories: ['toplevel'] })
    const [before, events] = [await metrics(session), await race.numbers('events')]
    await pause(settings.seconds * 1_000)
    const after = await metrics(session)
    const { longTasks, frames, drawings, sinceMs } = await collect(race.page)
    const shown = await race.numbers('events')
    const tasks = tasksOfMainThread(await browser.stopTracing())
    const busy = (name) => (100 * (after[name] - before[name])) / (after.Timestamp - before.Timestamp)
    return {
      'events/s in the slowest lane': Math.min(...TECHNIQUES.map((name) => shown[name] - events[name])) / (sinceMs / 1_000),
      'drawings/s': drawings / (sinceMs / 1_000),
      'frames/s of the browser': frames.length / (sinceMs / 1_000),
      'frames later than 50 ms, %': (100 * frames.filter((ms) => ms > LATE_MS).length) / frames.length,
      'frame, 99th percentile, ms': quantile(frames, 0.99),
      'longest task, ms of processor time': Math.max(0, ...tasks),
      'tasks above 50 ms of processor time': tasks.filter((ms) => ms > LONG_MS).length,
      'tasks above 50 ms of wall time': longTasks.length,
      'longest task while starting, ms of wall time': Math.max(0, ...begun.longTasks.map(({ took }) => took)),
      'main thread busy, %': busy('TaskDuration'),
      'of it script, %': busy('ScriptDuration'),
    }
  })
}

/** Memory (MB), DOM nodes and listeners before and after `--minutes` under load. */
async function memory(server, settings) {
  return loaded(server, settings, async (race, session) => {
    const look = async () => {
      await session.send('HeapProfiler.collectGarbage')
      const { JSHeapUsedSize, Nodes, JSEventListeners } = await metrics(session)
      const { wasmBytes } = await collect(race.page)
      return { 'JavaScript heap, MB': JSHeapUsedSize / 1e6, 'wasm memory, MB': wasmBytes / 1e6, 'DOM nodes': Nodes, listeners: JSEventListeners }
    }
    const before = await look()
    await pause(settings.minutes * 60_000)
    const after = await look()
    return Object.keys(before).map((name) => [name, before[name], after[name]])
  })
}

function medians(rounds) {
  return Object.keys(rounds[0]).map((name) => {
    const values = rounds.map((round) => round[name])
    return [name, median(values), Math.min(...values), Math.max(...values)]
  })
}

function loadAverage() {
  return os.loadavg()[0].toFixed(1)
}

async function main() {
  const settings = options()
  const server = await Server.start()
  try {
    const browser = await launch()
    const version = await browser.version()
    await browser.close()
    console.log(`Chromium ${version}, ${os.cpus().length} cores (${os.cpus()[0]?.model.trim()}), server and browser on the same machine, `
      + `${settings.rounds} rounds. Load of the machine when it began: ${loadAverage()}.\n`)
    console.log(`${table(['file', 'bytes', 'in brotli'], await sizes(server.url))}\n`)
    const [starts, underLoad] = [[], []]
    for (let round = 0; round < settings.rounds; round += 1) {
      starts.push(await start(server))
      underLoad.push(await load(server, settings))
      process.stderr.write(`round ${round + 1} of ${settings.rounds}, load ${loadAverage()}\n`)
    }
    console.log(`${table(['cold start, ms after the navigation', 'median', 'least', 'most'], medians(starts))}\n`)
    const what = `${settings.rate.toLocaleString('en-US')} events/s of ${settings.size} bytes in five lanes, ${settings.seconds} s`
    console.log(`${table([what, 'median', 'least', 'most'], medians(underLoad))}\n`)
    if (settings.minutes > 0) {
      console.log(`${table([`the same for ${settings.minutes} min, after garbage collection`, 'at first', 'at the end'], await memory(server, settings))}\n`)
    }
    console.log(`No event was lost or repeated in any lane. Load of the machine at the end: ${loadAverage()}.`)
  } finally {
    await server.stop()
  }
}

await main()

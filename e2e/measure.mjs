// Measures how the Race page bears load in Chromium: long tasks, memory, time on the main thread.
//
//   node measure.mjs [--rate 1000] [--seconds 60] [--size 200] [--every 10] [--url http://127.0.0.1:4437] [--query 'up=50&down=50']
//
// Without --url it starts a server of its own (TAILWATER_BIN, with the dashboard inside). Long tasks are those of the
// browser's own definition (50 ms or more without a break); the first seconds, until every lane is live, do not count.
import { parseArgs } from 'node:util'
import { launch } from './lib/chromium.mjs'
import { RacePage, TECHNIQUES } from './lib/race-page.mjs'
import { Server } from './lib/server.mjs'
import { pause } from './lib/until.mjs'

/** After every lane is live, what still belongs to the start. */
const SETTLE_MS = 5_000

const { values: options } = parseArgs({
  options: {
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    size: { type: 'string', default: '200' },
    every: { type: 'string', default: '10' },
    query: { type: 'string', default: '' },
    url: { type: 'string' },
  },
})

/** Runs in the page before anything else: collects long tasks and finds the wasm memory that Trunk announces. */
function observe() {
  globalThis.longTasks = []
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) globalThis.longTasks.push({ at: entry.startTime, took: entry.duration })
  }).observe({ type: 'longtask', buffered: true })
  globalThis.addEventListener('TrunkApplicationStarted', (event) => { globalThis.wasmMemory = event.detail?.wasm?.memory })
}

/** One row of the table: what happened since the last one. */
async function sample(race, session, previous) {
  const { metrics } = await session.send('Performance.getMetrics')
  const metric = Object.fromEntries(metrics.map(({ name, value }) => [name, value]))
  const { longTasks, wasmBytes, nowMs } = await race.page.evaluate(() => ({
    longTasks: globalThis.longTasks.splice(0),
    wasmBytes: globalThis.wasmMemory?.buffer.byteLength ?? 0,
    nowMs: performance.now(),
  }))
  const elapsed = previous ? metric.Timestamp - previous.metric.Timestamp : 0
  return {
    metric,
    row: {
      'time s': round(nowMs / 1_000, 0),
      'events (least lane)': Math.min(...Object.values(await race.numbers('events'))),
      'long tasks': longTasks.length,
      'longest ms': round(Math.max(0, ...longTasks.map(({ took }) => took)), 0),
      'busy %': previous ? round((100 * (metric.TaskDuration - previous.metric.TaskDuration)) / elapsed, 1) : 0,
      'script %': previous ? round((100 * (metric.ScriptDuration - previous.metric.ScriptDuration)) / elapsed, 1) : 0,
      'heap MB': round(metric.JSHeapUsedSize / 1e6, 1),
      'wasm MB': round(wasmBytes / 1e6, 1),
      nodes: metric.Nodes,
      listeners: metric.JSEventListeners,
    },
  }
}

function round(value, digits) {
  return Number(value.toFixed(digits))
}

async function main() {
  const server = options.url ? undefined : await Server.start()
  const browser = await launch(['--enable-precise-memory-info'])
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
    await context.addInitScript(observe)
    const query = `?source=generator&rate=${options.rate}&size=${options.size}${options.query ? `&${options.query}` : ''}`
    const race = await RacePage.open(context, { url: options.url ?? server.url }, query)
    const session = await context.newCDPSession(race.page)
    await session.send('Performance.enable')
    console.log(`${race.page.url()}\n${await browser.version()}, ${TECHNIQUES.length} lanes, ${options.rate} events/s of ${options.size} bytes`)
    await race.waitForState('live', 60_000)
    await pause(SETTLE_MS)
    const rows = []
    await session.send('HeapProfiler.collectGarbage')
    let last = await sample(race, session)
    console.log(`while starting: ${last.row['long tasks']} long tasks, the longest ${last.row['longest ms']} ms`)
    const first = last.row
    for (let second = 0; second < Number(options.seconds); second += Number(options.every)) {
      await pause(Number(options.every) * 1_000)
      last = await sample(race, session, last)
      rows.push(last.row)
      process.stdout.write('.')
    }
    console.log('')
    console.table(rows)
    const total = rows.reduce((sum, row) => sum + row['long tasks'], 0)
    // Only now: collecting is itself a long task.
    await session.send('HeapProfiler.collectGarbage')
    const { row: end } = await sample(race, session, last)
    console.log(`long tasks after the start: ${total}; the longest ${Math.max(0, ...rows.map((row) => row['longest ms']))} ms`)
    console.log(`memory after garbage collection, begin to end: heap ${first['heap MB']} to ${end['heap MB']} MB, wasm ${first['wasm MB']} to ${end['wasm MB']} MB`)
    const losses = await race.losses()
    console.log(losses.length === 0 ? 'nothing lost, nothing repeated' : losses.join('\n'))
    for (const complaint of race.complaints) console.log(`the page complained: ${complaint}`)
  } finally {
    await browser.close()
    await server?.stop()
  }
}

await main()

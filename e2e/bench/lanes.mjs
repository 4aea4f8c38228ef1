// Compares the latency of each lane alone with its latency beside the four others.
//
//   cargo xtask bench lanes [--rounds 3] [--seconds 15] [--rate 50] [--size 200]
//
// Each lane is measured alone and among five in turn, without a delay; the medians of all rounds are printed. Then `--rounds`
// races of 1,000 events of 10 kB per second, in which the page must either measure or say that the browser was busy: the
// table shows the median latency of WebSocket and how many lanes have a verdict of each kind.
import { parseArgs } from 'node:util'
import { launch } from '../lib/chromium.mjs'
import { median, table } from '../lib/figures.mjs'
import { RacePage, TECHNIQUES } from '../lib/race-page.mjs'
import { Server } from '../lib/server.mjs'
import { pause } from '../lib/until.mjs'

const LETTERS = { poll: 'P', 'long-poll': 'L', ndjson: 'N', sse: 'S', websocket: 'W' }
/** More of one lane's latency than this share or this time, ms, is reported. */
const [SHARE, MS] = [0.2, 0.3]

const number = (value) => ({ type: 'string', default: String(value) })
const { values } = parseArgs({ options: { rounds: number(3), seconds: number(15), rate: number(50), size: number(200) } })
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]

const server = await Server.start()
const browser = await launch()

/** The headline and the exported result of a race of generated events without a delay. */
async function measure(query) {
  const context = await browser.newContext({ acceptDownloads: true, locale: 'en-US' })
  try {
    const race = await RacePage.open(context, server, `?source=generator&up=0&down=0&${query}`)
    await pause(seconds * 1_000)
    const headline = await race.part('verdict').innerText()
    return { headline, ...JSON.parse((await race.export('export-json')).text) }
  } finally {
    await context.close()
  }
}

const lane = (result, technique) => result.lanes.find((one) => one.technique === technique)

const alone = Object.fromEntries(TECHNIQUES.map((technique) => [technique, []]))
const among = Object.fromEntries(TECHNIQUES.map((technique) => [technique, []]))
const events = `rate=${values.rate}&size=${values.size}`
for (let round = 0; round < rounds; round += 1) {
  for (const technique of TECHNIQUES) {
    alone[technique].push(lane(await measure(`${events}&lanes=${LETTERS[technique]}`), technique).latencyMs.p50)
  }
  const all = await measure(events)
  for (const technique of TECHNIQUES) among[technique].push(lane(all, technique).latencyMs.p50)
}
const rows = TECHNIQUES.map((technique) => {
  const [one, five] = [median(alone[technique]), median(among[technique])]
  const holds = Math.abs(five - one) <= Math.max(SHARE * one, MS)
  return [technique, one.toFixed(2), five.toFixed(2), holds ? 'yes' : 'no']
})
console.log(`${table([`median of ${rounds} rounds, ms`, 'alone', 'among five', 'within 20 % or 0.3 ms'], rows)}\n`)

const large = []
for (let round = 0; round < rounds; round += 1) {
  const result = await measure('rate=1000&size=10000')
  const findings = result.lanes.map((one) => one.verdict?.numbers.finding.finding ?? 'none')
  const kinds = ['confirmed', 'refuted', 'inconclusive', 'none'].map((kind) => findings.filter((one) => one === kind).length)
  large.push([String(lane(result, 'websocket').latencyMs.p50), ...kinds.map(String), result.headline.replaceAll('\n', ' ')])
}
await browser.close()
await server.stop()
console.log(table(['1,000 events of 10 kB per second: p50 of WebSocket, ms', 'confirmed', 'refuted', 'inconclusive', 'none', 'the page says'], large))

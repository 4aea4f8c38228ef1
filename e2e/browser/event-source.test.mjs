// The browser's own EventSource against the real server: over recycles and the server's death each event is seen once, in order.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { launch } from '../lib/chromium.mjs'
import { Server } from '../lib/server.mjs'
import { until } from '../lib/until.mjs'

/** Generous: a debug server and a browser may share two slow cores. */
const SOON_MS = 60_000
/** Life of a streaming answer; short, so that a test sees many. */
const RECYCLE = '300ms'
const MANY_ANSWERS = 8

let directory
let server
let browser
let context

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tailwater-event-source-'))
  server = await Server.start(['--store', 'disk', '--data-dir', join(directory, 'data'), '--recycle', RECYCLE])
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.stop()
  if (directory) await rm(directory, { recursive: true, force: true })
})

afterEach(async () => {
  await context?.close()
  context = undefined
})

async function write(method, name, headers = {}, body = undefined) {
  const answer = await fetch(server.stream(name), { method, headers, body })
  assert.ok(answer.ok, `${method} ${name}: ${answer.status}`)
}

/** Messages `first`, `first + 1`, ... as appends of their own; each is acknowledged before the next. */
async function append(name, first, count) {
  for (let n = first; n < first + count; n += 1) {
    await write('POST', name, { 'content-type': 'application/json' }, JSON.stringify({ n }))
  }
}

/** A page of the server's own origin with an EventSource on the stream, as the README has it. */
async function follow(name, offset) {
  context = await browser.newContext()
  const page = await context.newPage()
  // Any page of this origin will do; the dashboard would make requests of its own.
  await page.goto(`${server.url}/v1/clock`)
  const requests = []
  page.on('request', (request) => { if (request.url().includes('live=sse')) requests.push(request.url()) })
  await page.evaluate((url) => {
    const source = new EventSource(url)
    const seen = { messages: [], answers: 0, controls: 0, source }
    source.onopen = () => { seen.answers += 1 }
    source.addEventListener('data', (event) => seen.messages.push(...JSON.parse(event.data).map(({ n }) => n)))
    source.addEventListener('control', () => { seen.controls += 1 })
    globalThis.seen = seen
  }, `/v1/stream/${name}?offset=${offset}&live=sse`)
  const look = () => page.evaluate(() => {
    const { messages, answers, controls, source } = globalThis.seen
    return { messages, answers, controls, state: source.readyState }
  })
  const sees = async (what, condition) => {
    let now
    await until(what, SOON_MS, async () => condition(now = await look()), () => JSON.stringify(now))
    return now
  }
  return { requests, look, sees }
}

function upTo(count) {
  return Array.from({ length: count }, (_, n) => n)
}

describe('an EventSource', { timeout: 600_000 }, () => {
  for (const [offset, before] of [['-1', 5], ['now', 0]]) {
    test(`sees each event once over recycles and the server's death: offset=${offset}`, async () => {
      const name = `event-source/from${offset}`
      await write('PUT', name, { 'content-type': 'application/json' })
      await append(name, 0, before)
      const source = await follow(name, offset)
      await source.sees('the stream is followed', ({ controls, messages }) => controls > 0 && messages.length === before)
      let count = before
      // Answers end while events come, and between them.
      for (let answers = 2; answers <= MANY_ANSWERS; answers += 1) {
        await append(name, count, 3)
        count += 3
        await source.sees('the next answer', (seen) => seen.answers >= answers)
      }
      await append(name, count, 3)
      count += 3
      await source.sees('all of them', ({ messages }) => messages.length >= count)
      for (let death = 0; death < 2; death += 1) {
        // What was acknowledged right before the death may not have been sent.
        await append(name, count, 5)
        await server.kill()
        const { answers } = await source.look()
        await server.restart()
        await append(name, count + 5, 5)
        count += 10
        await source.sees('it came back', (seen) => seen.answers > answers && seen.messages.length >= count)
      }
      const { answers } = await source.look()
      const seen = await source.sees('one more answer, with nothing new', (seen) => seen.answers > answers)
      assert.deepEqual(seen.messages, upTo(count))
    })
  }

  test('stops coming back at the end of a closed stream', async () => {
    const name = 'event-source/closed'
    await write('PUT', name, { 'content-type': 'application/json' })
    await append(name, 0, 3)
    const source = await follow(name, '-1')
    await source.sees('the stream is followed', ({ messages }) => messages.length === 3)
    await append(name, 3, 2)
    await write('POST', name, { 'stream-closed': 'true' })
    const seen = await source.sees('it is closed for good', ({ state }) => state === 2)
    assert.deepEqual(seen.messages, upTo(5))
    const asked = source.requests.length
    // Other requests of the same page pass; none of this one does.
    const again = await follow(`${name}`, '-1')
    await again.sees('another one is closed, too', ({ state }) => state === 2)
    assert.equal(source.requests.length, asked)
  })
})

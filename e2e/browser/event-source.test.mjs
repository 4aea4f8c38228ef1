// The browser's EventSource with the real server: each event is received once, in order, across recycled responses and kills of the server.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { useBrowser, useServer } from '../lib/hooks.mjs'
import { until } from '../lib/until.mjs'

/** Long, because a debug server and a browser may share two slow cores. */
const SOON_MS = 60_000
/** Lifetime of a streaming response; short, so that a test receives many. */
const RECYCLE = '300ms'
const MANY_RESPONSES = 8

const directory = await mkdtemp(join(tmpdir(), 'tailwater-event-source-'))
const server = await useServer(['--store', 'disk', '--data-dir', join(directory, 'data'), '--recycle', RECYCLE])
const browser = useBrowser()

after(() => rm(directory, { recursive: true, force: true }))

async function write(method, name, headers = {}, body = undefined) {
  const response = await fetch(server.stream(name), { method, headers, body })
  assert.ok(response.ok, `${method} ${name}: ${response.status}`)
}

/** Appends messages `first`, `first + 1`, ... one by one; each is acknowledged before the next. */
async function append(name, first, count) {
  for (let n = first; n < first + count; n += 1) {
    await write('POST', name, { 'content-type': 'application/json' }, JSON.stringify({ n }))
  }
}

/** A page of the server's origin with an EventSource for the stream, as in the README. */
async function follow(name, offset) {
  const page = await (await browser.context()).newPage()
  // Any page of this origin except the dashboard, which would send other requests.
  await page.goto(`${server.url}/v1/clock`)
  const requests = []
  page.on('request', (request) => { if (request.url().includes('live=sse')) requests.push(request.url()) })
  await page.evaluate((url) => {
    const source = new EventSource(url)
    const seen = { messages: [], responses: 0, controls: 0, source }
    source.onopen = () => { seen.responses += 1 }
    source.addEventListener('data', (event) => seen.messages.push(...JSON.parse(event.data).map(({ n }) => n)))
    source.addEventListener('control', () => { seen.controls += 1 })
    globalThis.seen = seen
  }, `/v1/stream/${name}?offset=${offset}&live=sse`)
  const look = () => page.evaluate(() => {
    const { messages, responses, controls, source } = globalThis.seen
    return { messages, responses, controls, state: source.readyState }
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
    test(`receives each event once across recycled responses and kills: offset=${offset}`, async () => {
      const name = `event-source/from${offset}`
      await write('PUT', name, { 'content-type': 'application/json' })
      await append(name, 0, before)
      const source = await follow(name, offset)
      await source.sees('the stream is followed', ({ controls, messages }) => controls > 0 && messages.length === before)
      let count = before
      // Responses end while events are appended, and between appends.
      for (let responses = 2; responses <= MANY_RESPONSES; responses += 1) {
        await append(name, count, 3)
        count += 3
        await source.sees('the next response', (seen) => seen.responses >= responses)
      }
      await append(name, count, 3)
      count += 3
      await source.sees('all of them', ({ messages }) => messages.length >= count)
      for (let kill = 0; kill < 2; kill += 1) {
        // Messages acknowledged right before the kill may not have been delivered.
        await append(name, count, 5)
        await server.kill()
        const { responses } = await source.look()
        await server.restart()
        await append(name, count + 5, 5)
        count += 10
        await source.sees('it reconnected', (seen) => seen.responses > responses && seen.messages.length >= count)
      }
      const { responses } = await source.look()
      const seen = await source.sees('one more response, without new messages', (seen) => seen.responses > responses)
      assert.deepEqual(seen.messages, upTo(count))
    })
  }

  test('does not reconnect at the end of a closed stream', async () => {
    const name = 'event-source/closed'
    await write('PUT', name, { 'content-type': 'application/json' })
    await append(name, 0, 3)
    const source = await follow(name, '-1')
    await source.sees('the stream is followed', ({ messages }) => messages.length === 3)
    await append(name, 3, 2)
    await write('POST', name, { 'stream-closed': 'true' })
    const seen = await source.sees('it is closed', ({ state }) => state === 2)
    assert.deepEqual(seen.messages, upTo(5))
    const requestCount = source.requests.length
    // A second page sends requests meanwhile; the first one must not.
    const again = await follow(`${name}`, '-1')
    await again.sees('another one is closed, too', ({ state }) => state === 2)
    assert.equal(source.requests.length, requestCount)
  })
})

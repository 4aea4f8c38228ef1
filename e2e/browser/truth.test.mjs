// The Race page shows the actual state: with and without workers, on any stream, while it is paused, and when the server refuses.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { RacePage, TECHNIQUES } from '../lib/race-page.mjs'
import { pause, until } from '../lib/until.mjs'

const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const BINARY_TYPE = { 'content-type': 'application/octet-stream' }

const server = await useServer()
const browser = useBrowser()

async function open(query = '', script = undefined) {
  const context = await browser.context()
  if (script) await context.addInitScript(script)
  return RacePage.open(context, server, query)
}

async function request(name, method, headers = {}, body = undefined) {
  const response = await fetch(server.stream(name), { method, headers, body })
  assert.ok(response.ok, `${method} ${name}: ${response.status}`)
}

/** Waits until the headline matches. */
async function headline(race, pattern) {
  let seen = ''
  await until(`the headline matches ${pattern}`, SOON_MS, async () => pattern.test((seen = await race.part('verdict').innerText())), () => seen)
  return seen
}

describe('the state that the Race page shows', { timeout: 600_000 }, () => {
  test('each lane is read in its own worker, and the time of the browser is measured', async () => {
    const race = await open()
    await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
    assert.equal(race.page.workers().length, TECHNIQUES.length)
    await until('the time of the browser is measured', SOON_MS, async () => {
      const { readers, lanes } = JSON.parse((await race.export('export-json')).text)
      return readers === 'own-workers' && lanes.every((lane) => lane.clientMs.down > 0 && lane.clientMs.p99 > 0)
    })
    assert.deepEqual(race.pageErrors, [])
  })

  test('without workers the page reads the lanes itself and shows a note', async () => {
    const race = await open('', () => { delete globalThis.Worker })
    await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
    assert.equal(JSON.parse((await race.export('export-json')).text).readers, 'page')
    assert.match(await race.page.locator('.notes').innerText(), /no workers/)
    assert.deepEqual(await race.losses(), [])
  })

  test('if a worker cannot start, the page reads the lanes itself', async () => {
    const race = await open('', () => {
      const Real = globalThis.Worker
      globalThis.Worker = class extends Real { constructor(url, options) { super(`${url}-missing.js`, options) } }
    })
    await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
    assert.equal(JSON.parse((await race.export('export-json')).text).readers, 'page')
  })

  test('on an empty stream every lane is live, and its first events are measured', async () => {
    await request('truth/empty', 'PUT', JSON_TYPE)
    const race = await open('?stream=truth/empty')
    await until('all lanes are live', SOON_MS, async () =>
      (await race.page.locator('.card[data-phase="live"]').count()) === TECHNIQUES.length)
    await pause(1_500)
    await race.publish('first')
    await race.allLanes('the event has arrived', 'events', SOON_MS, (events) => events === 1)
    const { lanes } = JSON.parse((await race.export('export-json')).text)
    for (const lane of lanes) assert.equal(lane.eventsBefore, 0, lane.technique)
  })

  test('closing and deleting the stream is shown without a reload', async () => {
    await request('truth/closed', 'PUT', JSON_TYPE, '[1,2,3]')
    const race = await open('?stream=truth/closed')
    await race.allLanes('every lane has read it', 'events', SOON_MS, (events) => events === 3)
    await request('truth/closed', 'POST', { ...JSON_TYPE, 'stream-closed': 'true' })
    await race.waitForState('closed', SOON_MS)
    await headline(race, /closed/)
    await request('truth/deleted', 'PUT', JSON_TYPE, '[1]')
    const other = await open('?stream=truth/deleted')
    await other.allLanes('every lane has read it', 'events', SOON_MS, (events) => events === 1)
    await request('truth/deleted', 'DELETE')
    await headline(other, /does not exist/)
  })

  test('an unfinished line is shown, and the curl command has the type of the stream', async () => {
    await request('truth/text', 'PUT', TEXT)
    const race = await open('?stream=truth/text')
    await race.waitForState('live', SOON_MS)
    await request('truth/text', 'POST', TEXT, 'half a line')
    await headline(race, /11 bytes of a line/)
    assert.match(await race.page.locator('.notice').innerText(), /text\/plain/)
    await request('truth/text', 'POST', TEXT, ', and its end\n')
    await race.allLanes('the line is a message', 'events', SOON_MS, (events) => events === 1)
  })

  test('an unfinished line of a binary stream is shown, too', async () => {
    await request('truth/binary', 'PUT', BINARY_TYPE)
    const race = await open('?stream=truth/binary')
    await race.waitForState('live', SOON_MS)
    await request('truth/binary', 'POST', BINARY_TYPE, new Uint8Array([0, 255, 7]))
    await headline(race, /3 bytes of a line/)
    assert.match(await race.page.locator('.notice').innerText(), /application\/octet-stream/)
    await request('truth/binary', 'POST', BINARY_TYPE, '\n')
    await race.allLanes('the line is a message', 'events', SOON_MS, (events) => events === 1)
  })

  test('a live lane sends one request, and those for older messages are shown separately', async () => {
    await request('truth/older', 'PUT', JSON_TYPE, '[1,2,3]')
    const race = await open('?stream=truth/older')
    await race.allLanes('every lane has read them', 'events', SOON_MS, (events) => events === 3)
    await race.waitForState('live', SOON_MS)
    const requests = await race.numbers('requests')
    for (const technique of ['ndjson', 'sse', 'websocket']) assert.equal(requests[technique], 1, technique)
    const { lanes } = JSON.parse((await race.export('export-json')).text)
    const sse = lanes.find(({ technique }) => technique === 'sse')
    assert.deepEqual([sse.requests, sse.catchUpRequests], [1, 1])
  })

  test('a refusal is shown in the words of the server, and is not a lost server', async () => {
    const detail = '32 sources are running, which is the limit'
    const context = await browser.context()
    await context.route('**/v1/lab/sources', (route) => route.fulfill({
      status: 503, contentType: 'application/problem+json', body: JSON.stringify({ type: '#too-many-sources', title: 'Too many', status: 503, detail }),
    }))
    const race = await RacePage.open(context, server, '?source=generator')
    await headline(race, new RegExp(detail))
    assert.notEqual(await race.state(), 'lost')
    assert.doesNotMatch(await race.page.locator('main').innerText(), /does not respond|cargo xtask serve/)
  })

  test('a race that is refused for another reason than free ports is shown in the words of the server', async () => {
    const context = await browser.context()
    await context.route('**/v1/lab/races', (route) => route.fulfill({
      status: 500, contentType: 'application/problem+json', body: JSON.stringify({ type: '#x', title: 'X', status: 500, detail: 'the disk is read-only' }),
    }))
    const race = await RacePage.open(context, server, '')
    await headline(race, /the disk is read-only/)
    assert.doesNotMatch(await race.page.locator('main').innerText(), /no free ports|does not respond/)
  })

  test('a refusal of the counts of the lanes is not a lost server', async () => {
    const race = await open()
    await race.waitForState('live', SOON_MS)
    const body = JSON.stringify({ type: '#x', title: 'Busy', status: 503, detail: 'the buffers of all clients are full' })
    await race.page.route('**/v1/lab/races/*', (route) => (route.request().method() === 'GET'
      ? route.fulfill({ status: 503, contentType: 'application/problem+json', body })
      : route.fallback()))
    for (let second = 0; second < 4; second += 1) {
      await pause(1_000)
      assert.notEqual(await race.state(), 'lost')
    }
    assert.doesNotMatch(await race.page.locator('main').innerText(), /does not respond/)
  })

  test('a lane that is slower than the retention is named, and continues', async () => {
    await request('truth/kept', 'PUT', { ...JSON_TYPE, 'stream-retention-bytes': '2000' })
    await request('truth/kept', 'POST', JSON_TYPE, '{"n":0}')
    const race = await open('?stream=truth/kept&interval=8000')
    await race.waitForState('live', SOON_MS)
    await race.allLanes('every lane has read it', 'events', SOON_MS, (events) => events === 1)
    for (let n = 1; n <= 60; n += 1) await request('truth/kept', 'POST', JSON_TYPE, JSON.stringify({ n, filler: 'x'.repeat(200) }))
    const seen = await headline(race, /^Polling read too slowly/)
    assert.doesNotMatch(seen, /Nothing lost/)
    const before = await race.number('poll', 'events')
    await until('polling continues', SOON_MS, async () => {
      await request('truth/kept', 'POST', JSON_TYPE, '{"later":true}')
      await pause(1_000)
      return (await race.number('poll', 'events')) > before
    })
    assert.equal(await race.part('card-poll').getAttribute('data-phase'), 'live')
  })

  test('a changed setting discards no samples as hidden', async () => {
    const race = await open('?source=generator&rate=20')
    await race.allLanes('every lane has forty events', 'events', SOON_MS, (events) => events >= 40)
    for (const [id, value] of [['interval', '500'], ['up', '5'], ['hold', '10'], ['rate', '30']]) {
      await race.part(id).fill(value)
      await race.part(id).press('Enter')
      await pause(1_500)
      assert.doesNotMatch(await race.page.locator('.notes').innerText(), /discarded/, id)
    }
    const { lanes } = JSON.parse((await race.export('export-json')).text)
    for (const lane of lanes) assert.equal(lane.discarded.hidden, 0, lane.technique)
  })

  test('if events are periodic, the page says that the latency of polling depends on the phase', async () => {
    const race = await open('?pattern=periodic')
    await race.waitForState('live', SOON_MS)
    assert.match(await race.page.locator('.notes').innerText(), /random phase/)
    await race.part('pattern').selectOption('poisson')
    await until('the note is gone', SOON_MS, async () => !/random phase/.test(await race.page.locator('.notes').innerText()))
  })

  test('the page shows for how long it has measured', async () => {
    const race = await open()
    const notes = () => race.page.locator('.notes').innerText()
    await until('the time is shown', SOON_MS, async () => /measured for \d+ s/.test(await notes()), notes)
    const first = await notes()
    await until('it grows', SOON_MS, async () => (await notes()) !== first)
    assert.match(await race.part('card-sse').locator('dt').first().getAttribute('title'), /^Half of the events/)
  })

  test('the error of a median is not only that of the clocks', async () => {
    const race = await open()
    await race.allLanes('every lane has twenty events', 'events', SOON_MS, (events) => events >= 20)
    await race.part('pause').click()
    const error = (text) => Number(text.match(/± ([\d.]+)/)[1])
    const ofClocks = error(await race.page.locator('.notes').innerText())
    // Half a poll interval of spread in twenty samples is an error of some 100 ms.
    const ofPolling = error(await race.part('card-poll').locator('.lateness .unit').first().innerText())
    assert.ok(ofPolling > 10 * ofClocks, `${ofPolling} ms, clocks ${ofClocks} ms`)
  })

  test('status region and tables follow the race', async () => {
    const race = await open()
    await race.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 8)
    await until('the headline is announced', SOON_MS, async () => /^Live\. .*Nothing lost/i.test(await race.part('status').innerText()),
      () => race.part('status').innerText())
    for (const chart of ['sequence', 'distribution']) {
      const figure = race.page.locator(`figure.${chart}`)
      await figure.locator('summary').click()
      const first = await figure.locator('tbody').innerText()
      await until(`the table of the ${chart} changes`, SOON_MS, async () => (await figure.locator('tbody').innerText()) !== first)
    }
  })

  test('while it runs, the headline has the figures of the cards, too', async () => {
    const race = await open()
    await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
    for (let look = 0; look < 8; look += 1) {
      await pause(400)
      const [sentence, medians] = await race.page.evaluate(() => [
        document.querySelector('[data-testid="verdict"]').textContent,
        [...document.querySelectorAll('[data-testid="p50"]')].map((median) => median.textContent),
      ])
      const told = [...sentence.matchAll(/([\d.,]+)(?= ms| to )/g)].map(([, number]) => number)
      const agrees = told.length >= 1 && told.every((number) => medians.includes(number))
      assert.ok(agrees || sentence.includes('too busy'), `${sentence} ${medians}`)
    }
  })

  test('a paused page and its exports are of one moment, and the headline has the figures of the cards', async () => {
    const race = await open()
    await race.allLanes('every lane has twenty events', 'events', SOON_MS, (events) => events >= 20)
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    await pause(500)
    const look = async () => ({
      sentence: await race.part('verdict').innerText(),
      picture: await race.part('sequence').evaluate((canvas) => canvas.toDataURL()),
      exported: await Promise.all([(await race.export('export-json')).text, (await race.export('export-csv')).text]),
    })
    const before = await look()
    const medians = await Promise.all(TECHNIQUES.map((technique) => race.part(`card-${technique}`).getByTestId('p50').innerText()))
    const told = [...before.sentence.matchAll(/([\d.,]+)(?= ms| to )/g)].map(([, number]) => number)
    const agrees = told.length >= 2 && told.every((number) => medians.includes(number))
    assert.ok(agrees || before.sentence.includes('too busy'), `${before.sentence} ${medians}`)
    await race.part('card-sse').locator('.switch').click()
    await pause(3_000)
    assert.deepEqual(await look(), before)
    const { lanes } = JSON.parse(before.exported[0])
    const poll = lanes.find(({ technique }) => technique === 'poll')
    assert.ok(poll.relay.connections_open >= 1, JSON.stringify(poll.relay))
  })

  test('many changes of the rate keep the connection to the server', async () => {
    const race = await open('?source=generator&rate=5')
    await race.waitForState('live', SOON_MS)
    for (let rate = 10; rate < 22; rate += 1) {
      await race.part('rate').fill(String(rate))
      await race.part('rate').press('Enter')
      await pause(400)
      assert.notEqual(await race.state(), 'lost')
    }
    await race.allLanes('every lane continues', 'events', SOON_MS, (events) => events >= 5)
  })

  test('the figures of the page can be computed from an export', async () => {
    const race = await open()
    await race.allLanes('every lane has twenty events', 'events', SOON_MS, (events) => events >= 20)
    await race.part('pause').click()
    const shown = await race.numbers('bytes')
    const { lanes } = JSON.parse((await race.export('export-json')).text)
    for (const lane of lanes) {
      const { relay } = lane
      const bytes = ['request', 'response'].flatMap((way) => ['head', 'body', 'framing'].map((part) => relay[`${way}_${part}_bytes`]))
      const own = bytes.reduce((sum, part) => sum + part, 0) - relay.cross_origin_bytes
      assert.ok(Math.abs(own / lane.countedEvents - lane.bytesPerEvent) < 0.01, JSON.stringify(lane))
      assert.equal(Math.round(lane.bytesPerEvent), shown[lane.technique])
      assert.ok(lane.samples.length <= lane.samplesMax)
    }
  })
})

// The Race page in Chromium, served by the real binary.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { artifact } from '../lib/artifacts.mjs'
import { seriousViolations } from '../lib/axe.mjs'
import { csvRecords } from '../lib/csv.mjs'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { RacePage, TECHNIQUES } from '../lib/race-page.mjs'
import { BINARY, start } from '../lib/server.mjs'
import { pause, until } from '../lib/until.mjs'

const server = await useServer()
const browser = useBrowser()

/** A page in a new context, without stored or cached data. */
function open(query = '', options = {}) {
  return browser.race(server, query, options)
}

/** A stream to which only the test appends, so that counts change only then. */
async function quietStream(name, messages = []) {
  const headers = { 'content-type': 'application/json' }
  const created = await fetch(server.stream(name), { method: 'PUT', headers })
  assert.equal(created.status, 201)
  for (const message of messages) await append(name, message)
  return name
}

async function append(name, message) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(server.stream(name), { method: 'POST', headers, body: JSON.stringify(message) })
  assert.equal(response.status, 204)
}

describe('the Race page', { timeout: 900_000 }, () => {
  test('every lane receives events without loss or repetition', async () => {
    const race = await open()
    await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
    await race.waitForState('live', SOON_MS)
    assert.deepEqual(await race.losses(), [])
    assert.match(await race.part('verdict').innerText(), /\S+ \S+/)
    for (const technique of TECHNIQUES) assert.ok((await race.number(technique, 'requests')) >= 1, technique)
    assert.ok(await race.page.evaluate(() => globalThis.crossOriginIsolated), 'the page is isolated, so its clock has a high resolution')
    assert.deepEqual(race.pageErrors, [])
  })

  test('pause stops all figures, and resuming catches up', async () => {
    const race = await open()
    await race.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 3)
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    assert.equal(await race.part('pause').getAttribute('aria-pressed'), 'true')
    await pause(300)
    const before = await race.numbers('events')
    await pause(2_000)
    assert.deepEqual(await race.numbers('events'), before)
    await race.part('pause').click()
    await race.allLanes('every lane received more', 'events', SOON_MS, (events, technique) => events > before[technique])
    assert.equal(await race.part('pause').getAttribute('aria-pressed'), 'false')
    assert.deepEqual(await race.losses(), [])
    assert.deepEqual(race.pageErrors, [])
  })

  test('space pauses, p focuses the publish box', async () => {
    const race = await open()
    await race.waitForState('live', SOON_MS)
    await race.page.keyboard.press('Space')
    await race.waitForState('paused', SOON_MS)
    await race.page.keyboard.press('Space')
    await race.waitForState('live', SOON_MS)
    await race.page.keyboard.press('p')
    await until('the publish box has the focus', SOON_MS, () =>
      race.part('publish-text').evaluate((input) => input === document.activeElement))
    assert.deepEqual(race.pageErrors, [])
  })

  test('a published event arrives in every lane', async () => {
    const name = await quietStream('e2e/publish')
    const race = await open(`?stream=${name}`)
    await race.waitForState('live', SOON_MS)
    const before = await race.numbers('events')
    await race.publish('{"hello":"world"}')
    await race.allLanes('one more event', 'events', SOON_MS, (events, technique) => events === before[technique] + 1)
    const kept = await (await fetch(`${server.stream(name)}?offset=-1`)).json()
    assert.equal(kept.length, 1)
    await race.publish('한국어, "quotes" & <tags>')
    await race.allLanes('two more events', 'events', SOON_MS, (events, technique) => events === before[technique] + 2)
    assert.deepEqual(await race.losses(), [])
    assert.deepEqual(race.pageErrors, [])
  })

  test('an event appended by another program arrives in every lane', async () => {
    const name = await quietStream('e2e/appended', [{ n: 0 }])
    const race = await open(`?stream=${name}`)
    await race.waitForState('live', SOON_MS)
    await race.allLanes('the existing event', 'events', SOON_MS, (events) => events === 1)
    for (let n = 1; n <= 50; n += 1) await append(name, { n })
    await race.allLanes('fifty more events', 'events', SOON_MS, (events) => events === 51)
    assert.deepEqual(await race.losses(), [])
    assert.deepEqual(race.pageErrors, [])
  })

  test('each line appended by the command line is an event, and so is a published text', async () => {
    const name = 'e2e/lines'
    const created = await fetch(server.stream(name), { method: 'PUT', headers: { 'content-type': 'text/plain; charset=utf-8' } })
    assert.equal(created.status, 201)
    const race = await open(`?stream=${name}`)
    await race.waitForState('live', SOON_MS)
    const before = await race.numbers('events')
    const appending = start(BINARY, ['append', name, '--server', server.url])
    for (let n = 1; n <= 5; n += 1) appending.stdin.write(`line ${n}\n`)
    appending.stdin.end()
    await race.allLanes('five more events', 'events', SOON_MS, (events, technique) => events === before[technique] + 5)
    await race.publish('hello')
    await race.allLanes('one more event', 'events', SOON_MS, (events, technique) => events === before[technique] + 6)
    assert.deepEqual(await race.losses(), [])
    assert.deepEqual(race.pageErrors, [])
  })

  test('repeated reloads cause no errors', async () => {
    const race = await open()
    await race.waitForState('live', SOON_MS)
    for (let reload = 0; reload < 12; reload += 1) {
      await race.page.reload()
      await race.waitForState('live', SOON_MS)
    }
    await race.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 3)
    assert.deepEqual(race.pageErrors, [])
  })

  test('the language changes immediately and is kept in the link', async () => {
    const race = await open()
    await race.waitForState('live', SOON_MS)
    await race.part('language').selectOption('ko')
    await until('the page is Korean', SOON_MS, async () => (await race.page.locator('html').getAttribute('lang')) === 'ko')
    assert.match(await race.part('verdict').innerText(), /[\uac00-\ud7a3]/)
    const link = new URL(race.page.url()).search
    assert.match(link, /lang=ko/)
    const again = await RacePage.open(race.page.context(), server, link)
    assert.equal(await again.page.locator('html').getAttribute('lang'), 'ko')
    await again.part('language').selectOption('en')
    await until('the page is English', SOON_MS, async () => (await again.page.locator('html').getAttribute('lang')) === 'en')
    assert.doesNotMatch(await again.part('verdict').innerText(), /[\uac00-\ud7a3]/)
    assert.deepEqual([...race.pageErrors, ...again.pageErrors], [])
  })

  test('a browser that prefers Korean gets Korean', async () => {
    const race = await open('', { locale: 'ko-KR' })
    assert.equal(await race.page.locator('html').getAttribute('lang'), 'ko')
  })

  test('a link restores stream, poll interval and theme', async () => {
    const name = await quietStream('e2e/deep-link', [{ a: 1 }, { a: 2 }])
    const query = `?stream=${encodeURIComponent(name)}&interval=250&theme=dark`
    const race = await open(query)
    await race.waitForState('live', SOON_MS)
    const settings = new URL(race.page.url()).searchParams
    assert.equal(settings.get('stream'), name)
    assert.equal(settings.get('interval'), '250')
    assert.equal(await race.page.locator('html').getAttribute('data-theme'), 'dark')
    await race.page.reload()
    await race.part('verdict').waitFor()
    await race.waitForState('live', SOON_MS)
    await race.allLanes('the existing events', 'events', SOON_MS, (events) => events === 2)
    await append(name, { a: 3 })
    await race.allLanes('the event arrives after reload', 'events', SOON_MS, (events) => events === 3)
    const exported = JSON.parse((await race.export('export-json')).text)
    assert.equal(exported.stream, name)
    assert.deepEqual(race.pageErrors, [])
  })

  test('exports parse and agree with the page', async () => {
    const name = await quietStream('e2e/export')
    const race = await open(`?stream=${name}`)
    await race.waitForState('live', SOON_MS)
    for (let n = 0; n < 5; n += 1) await append(name, { n })
    await race.allLanes('five events', 'events', SOON_MS, (events) => events >= 5)
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    await pause(300)
    const shown = { events: await race.numbers('events'), lost: await race.numbers('lost'), repeated: await race.numbers('repeated') }

    const json = await race.export('export-json')
    assert.match(json.name, /\.json$/)
    const document = JSON.parse(json.text)
    assert.equal(document.stream, name)
    assert.deepEqual(document.lanes.map((lane) => lane.technique), TECHNIQUES)

    const csv = await race.export('export-csv')
    assert.match(csv.name, /\.csv$/)
    const rows = csvRecords(csv.text)
    assert.deepEqual(rows.map((row) => row.technique), TECHNIQUES)
    const samples = csvRecords((await race.export('export-samples')).text)
    for (const row of [...rows, ...samples]) {
      const { serverVersion, seed, timeOrigin } = document
      assert.deepEqual([row.server_version, row.seed, row.time_origin], [serverVersion, String(seed), timeOrigin])
    }
    for (const figure of ['events', 'lost', 'repeated']) {
      assert.deepEqual(Object.fromEntries(document.lanes.map((lane) => [lane.technique, lane[figure]])), shown[figure], `JSON: ${figure}`)
      assert.deepEqual(Object.fromEntries(rows.map((row) => [row.technique, Number(row[figure])])), shown[figure], `CSV: ${figure}`)
    }
    assert.deepEqual(race.pageErrors, [])
  })

  test('the recommendation depends on the requirements, and the costs on the number of clients', async () => {
    const race = await open()
    const advice = () => race.part('advice').innerText()
    const says = (pattern) => until(`the recommendation matches ${pattern}`, SOON_MS, async () => pattern.test(await advice()), advice)
    const fill = async (id, value) => {
      await race.part(id).fill(value)
      await race.part(id).press('Enter')
    }
    await says(/^\S+: it meets the limit.*Polling meets the limit up to an interval of \d+ ms/)
    await fill('within', '10000')
    await says(/^Polling: /)
    await fill('within', '1')
    await says(/no technique meets the limit/)
    await fill('within', '500')
    await race.part('clients-send').check()
    await says(/^WebSocket: /)
    const rows = race.page.locator('.advice tbody tr')
    assert.equal(await rows.count(), TECHNIQUES.length)
    const cell = (row, column) => rows.nth(row).locator('td').nth(column).innerText()
    // One poll per second and client.
    assert.equal(await cell(0, 1), '1,000')
    await fill('clients', '50')
    await until('the costs are of 50 clients', SOON_MS, async () => (await cell(0, 1)) === '50.0')
    await until('the bytes are measured', SOON_MS, async () => (await cell(3, 4)) === 'measured here', () => cell(3, 4))
    assert.deepEqual(race.pageErrors, [])
  })

  test('the page shows that the server is gone, and recovers', async () => {
    const race = await open()
    await race.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 3)
    await server.kill()
    await until('the page shows that the server is gone', SOON_MS, async () => ['lost', 'reconnecting'].includes(await race.state()))
    await pause(3_000)
    await server.restart()
    await race.waitForState('live', 60_000)
    const before = await race.numbers('events')
    await race.allLanes('every lane received more', 'events', 60_000, (events, technique) => events > before[technique])
    // The browser reports refused connections; the page must report nothing else.
    const own = race.pageErrors.filter((error) => !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|WebSocket connection|Failed to load resource/.test(error))
    assert.deepEqual(own, [])
  })

  for (const theme of ['light', 'dark']) {
    for (const language of ['en', 'ko']) {
      test(`no serious accessibility violation: ${theme}, ${language}`, async () => {
        const race = await open(`?theme=${theme}&lang=${language}`, { colorScheme: theme })
        await race.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 2)
        assert.deepEqual(await seriousViolations(race.page), [])
      })
    }
  }

  for (const [name, width, query, options] of [
    ['1440', 1440, '', {}],
    ['1440-dark', 1440, '?theme=dark', { colorScheme: 'dark' }],
    ['1440-korean', 1440, '?lang=ko', {}],
    ['320', 320, '', {}],
    ['320-dark-korean', 320, '?theme=dark&lang=ko', { colorScheme: 'dark' }],
    ['768', 768, '', {}],
  ]) {
    test(`nothing is wider than the window: ${name}`, async () => {
      const race = await open(query, { viewport: { width, height: 900 }, ...options })
      await race.allLanes('every lane has twenty events', 'events', SOON_MS, (events) => events >= 20)
      await race.page.screenshot({ path: artifact(`race-${name}.png`), fullPage: true })
      const overflow = await race.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      assert.equal(overflow, 0, 'pixels wider than the window')
      assert.deepEqual(race.pageErrors, [])
    })
  }
})

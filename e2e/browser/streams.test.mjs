// The Streams page in Chromium, served by the real binary: search, inspect, append, follow, fork, close, delete.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { artifact } from '../lib/artifacts.mjs'
import { seriousViolations } from '../lib/axe.mjs'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { TECHNIQUES } from '../lib/race-page.mjs'
import { Server } from '../lib/server.mjs'
import { pause, until } from '../lib/until.mjs'

const JSON_TYPE = 'application/json'

const server = await useServer()
const browser = useBrowser()

/** A page in a new context, without stored or cached data. */
function open(query = '', options = {}, at = server) {
  return browser.streams(at, query, options)
}

async function create(name, { type = JSON_TYPE, body, headers = {} } = {}) {
  const created = await fetch(server.stream(name), { method: 'PUT', headers: { 'content-type': type, ...headers }, body })
  assert.equal(created.status, 201, name)
  return name
}

async function append(name, message) {
  const response = await fetch(server.stream(name), { method: 'POST', headers: { 'content-type': JSON_TYPE }, body: JSON.stringify(message) })
  assert.ok(response.ok, `${response.status}`)
}

describe('the Streams page', { timeout: 900_000 }, () => {
  test('a server without streams shows a command that creates one', async () => {
    const empty = await Server.start()
    try {
      const streams = await open('', {}, empty)
      const line = await streams.part('empty').locator('code').innerText()
      const [, type, url] = line.match(/^curl -X PUT -H 'content-type: (\S+)' (\S+)$/)
      assert.equal((await fetch(url, { method: 'PUT', headers: { 'content-type': type } })).status, 201)
      await streams.waitForNames('the new stream', SOON_MS, (names) => names.length === 1)
      assert.deepEqual(streams.pageErrors, [])
    } finally {
      await empty.stop()
    }
  })

  test('the list is paged by the server, forward and back, and searched', async () => {
    for (let n = 0; n < 120; n += 1) await create(`paged/${String(n).padStart(3, '0')}`)
    await create('other/Paged one')
    const streams = await open('search=paged/')
    const first = await streams.waitForNames('the first page', SOON_MS, (names) => names.length === 50)
    await streams.part('next').press('Enter')
    const second = await streams.waitForNames('the second page', SOON_MS, (names) => names[0] === 'paged/050')
    assert.equal(second.length, 50)
    assert.equal(await streams.page.evaluate(() => document.activeElement.dataset.testid), 'next', 'the button keeps the focus')
    await streams.part('next').click()
    await streams.waitForNames('the last page', SOON_MS, (names) => names.length === 20 && names[0] === 'paged/100')
    await until('there is no next page', SOON_MS, () => streams.part('next').isDisabled())
    await streams.waitForQuery('after', 'paged/099', SOON_MS)
    await streams.page.reload()
    await streams.waitForNames('the same page after a reload', SOON_MS, (names) => names[0] === 'paged/100')
    await streams.part('previous').click()
    await streams.waitForNames('the first page again', SOON_MS, (names) => names[0] === first[0])
    await streams.part('next').click()
    await streams.waitForQuery('after', 'paged/049', SOON_MS)
    await streams.page.goBack()
    await streams.waitForNames('the way back turns back', SOON_MS, (names) => names[0] === first[0])
    await streams.page.goForward()
    await streams.waitForNames('and on again', SOON_MS, (names) => names[0] === 'paged/050')
    await streams.page.keyboard.press('/')
    await until('the search has the focus', SOON_MS, () => streams.page.evaluate(() => document.activeElement.id === 'stream-search'))
    await streams.part('stream-search').fill('PAGED O')
    await streams.waitForNames('the search result', SOON_MS, (names) => names.length === 1 && names[0] === 'other/Paged one')
    await streams.waitForQuery('search', 'PAGED O', SOON_MS)
    await streams.part('stream-search').fill('nothing like it')
    await streams.part('empty').waitFor({ timeout: SOON_MS })
    await streams.part('empty').getByRole('button').click()
    await streams.waitForNames('everything', SOON_MS, (names) => names.length === 50)
    assert.deepEqual(streams.pageErrors, [])
  })

  test('the list shows the total, hides the lab, sorts by age, and searches by prefix', async () => {
    const own = await Server.start()
    try {
      const put = async (name) => {
        const created = await fetch(own.stream(name), { method: 'PUT', headers: { 'content-type': JSON_TYPE } })
        assert.equal(created.status, 201)
      }
      const are = (...expected) => (names) => JSON.stringify(names) === JSON.stringify(expected)
      await put('lab/older')
      const streams = await open('', {}, own)
      await streams.part('empty').getByRole('button').click()
      await streams.waitForNames('what was hidden', SOON_MS, are('lab/older'))
      await streams.part('with-lab').uncheck()
      assert.equal((await fetch(own.stream('lab/older'), { method: 'DELETE' })).status, 204)
      for (const name of ['b/one', 'lab/old', 'a/b', 'c']) await put(name)
      await streams.waitForNames('all but the lab', SOON_MS, are('a/b', 'b/one', 'c'))
      assert.match(await streams.part('total').innerText(), /^4 /)
      await streams.part('sort').selectOption('1')
      await streams.waitForNames('the newest first', SOON_MS, are('c', 'a/b', 'b/one'))
      await streams.part('with-lab').check()
      await streams.waitForNames('the lab, too', SOON_MS, are('c', 'a/b', 'lab/old', 'b/one'))
      await streams.part('search-by').selectOption('1')
      await streams.part('stream-search').fill('b')
      await streams.waitForNames('what begins with it', SOON_MS, are('b/one'))
      assert.deepEqual(streams.query(), { prefix: 'b', sort: 'newest', lab: 'shown' })
      await streams.page.reload()
      await streams.waitForNames('the same after a reload', SOON_MS, are('b/one'))
      const server = await streams.part('server').innerText()
      assert.match(server, /^Tailwater \d+\.\d+\.\d+ · up \d+ s · .*memory.*stored/)
      assert.deepEqual(streams.pageErrors, [])
    } finally {
      await own.stop()
    }
  })

  test('the last messages of a large stream are shown with times, and can be forked at', async () => {
    await create('large')
    const page = JSON.stringify(Array.from({ length: 5_000 }, (_, n) => ({ n, filler: 'x'.repeat(100) })))
    await append('large', JSON.parse(page))
    await append('large', ['before the last', 'the last'])
    const streams = await open('stream=large')
    await until('the last hundred are shown', SOON_MS, async () => (await streams.messages()).length === 100)
    assert.deepEqual((await streams.messages()).slice(0, 2), ['"the last"', '"before the last"'])
    await until('all have times', SOON_MS, async () => (await streams.page.locator('.messages time').count()) === 100)
    assert.match(await streams.page.title(), /^large — /)
    const offset = await streams.part('fork-here').nth(1).innerText()
    await streams.part('fork-here').nth(1).click()
    assert.equal(await streams.part('fork-at').inputValue(), offset)
    await until('the name has the focus', SOON_MS, () => streams.page.evaluate(() => document.activeElement.id === 'fork-name'))
    await streams.page.keyboard.type('large/fork')
    await streams.page.keyboard.press('Enter')
    await until('the fork is shown', SOON_MS, async () => (await streams.part('look-name').innerText()) === 'large/fork')
    await until('it ends with that message', SOON_MS, async () => (await streams.messages())[0] === '"before the last"')
    await append('large/fork', 'its own')
    await until('a message that comes later gets its time', SOON_MS, async () => {
      const first = streams.page.locator('.messages li').first()
      return (await first.innerText()).includes('its own') && (await first.locator('time').count()) === 1
    })
    assert.match(await streams.page.title(), /^large\/fork — /)
    assert.deepEqual(streams.pageErrors, [])
  })

  test('appends to a text stream are shown as separate messages with times', async () => {
    await create('lines', { type: 'text/plain', body: 'one' })
    for (const body of ['two', 'three']) {
      assert.ok((await fetch(server.stream('lines'), { method: 'POST', headers: { 'content-type': 'text/plain' }, body })).ok)
    }
    const streams = await open('stream=lines')
    await streams.waitForMessages(SOON_MS, ['three', 'two', 'one'])
    await until('all have times', SOON_MS, async () => (await streams.page.locator('.messages time').count()) === 3)
  })

  test('the form has every option of a PUT, and its curl command is equivalent', async () => {
    const streams = await open()
    await streams.part('new').click()
    await streams.part('create-name').fill('optional')
    await streams.part('options').click()
    await streams.part('create-expires').fill('2099-01-02T03:04')
    await streams.part('create-keep-bytes').fill('5000')
    await streams.part('create-keep-seconds').fill('600')
    await streams.part('create-closed').check()
    await streams.part('create-first').fill('[1,2]')
    await streams.part('curl-create').click()
    const line = await streams.page.locator('.form .curl code').first().innerText()
    await streams.part('create-send').click()
    await streams.waitForMessages(SOON_MS, ['2', '1'])
    const details = await (await fetch(`${server.url}/v1/streams/optional`)).json()
    const { configuration } = details
    assert.deepEqual([details.closed, configuration.keepBytes, configuration.keepSeconds], [true, 5000, 600])
    assert.equal(new Date(configuration.expiresAtMs).getUTCFullYear(), 2099)
    for (const part of ['stream-expires-at: 2099-', 'stream-retention-bytes: 5000', 'stream-retention-age: 600', 'stream-closed: true', '[1,2]']) {
      assert.ok(line.includes(part), `${part} in ${line}`)
    }
    assert.deepEqual(streams.pageErrors, [])
  })

  test('on a phone, the form for a new stream is scrolled into view', async () => {
    for (let n = 0; n < 30; n += 1) await create(`phone/${n}`)
    const streams = await open('search=phone/', { viewport: { width: 390, height: 700 } })
    await streams.waitForNames('the list', SOON_MS, (names) => names.length === 30)
    await streams.part('new').click()
    await until('the name has the focus', SOON_MS, () => streams.page.evaluate(() => document.activeElement.id === 'create-name'))
    const { y } = await streams.part('create-name').boundingBox()
    assert.ok(y > 0 && y < 400, `at ${y}`)
  })

  test('a stream is created, appended to with Enter, and followed by every technique', async () => {
    const streams = await open()
    await streams.part('new').click()
    await streams.part('create-name').fill('made/here & now')
    await streams.part('create-first').fill('{"n":0}')
    await streams.part('create-send').click()
    await streams.waitForResult('made/here & now', SOON_MS)
    await streams.waitForQuery('stream', 'made/here & now', SOON_MS)
    await streams.waitForMessages(SOON_MS, ['{"n":0}'])
    const expected = ['{"n":0}']
    for (const technique of TECHNIQUES) {
      await streams.part(`by-${technique}`).check({ force: true })
      await streams.part('append-text').fill(`{"by":"${technique}"}`)
      await streams.part('append-text').press('Enter')
      expected.unshift(`{"by":"${technique}"}`)
      await streams.waitForMessages(SOON_MS, expected)
    }
    await streams.waitForQuery('live', 'websocket', SOON_MS)
    await streams.page.getByTestId('readers').locator('.t-websocket').waitFor({ timeout: SOON_MS })
    await append('made/here%20%26%20now', { from: 'elsewhere' })
    await streams.waitForMessages(SOON_MS, ['{"from":"elsewhere"}', ...expected])
    assert.deepEqual(streams.pageErrors, [])
  })

  test('a refusal is shown with its text, and the input is kept', async () => {
    await create('refusing')
    const streams = await open('stream=refusing')
    await streams.part('append-text').fill('{"half":')
    await streams.part('append-text').press('Enter')
    await streams.page.getByRole('alert').filter({ hasText: 'not valid JSON' }).waitFor({ timeout: SOON_MS })
    assert.equal(await streams.part('append-text').inputValue(), '{"half":')
    await streams.part('new').click()
    await streams.part('create-send').click()
    await streams.page.getByRole('alert').filter({ hasText: 'name' }).waitFor({ timeout: SOON_MS })
    await streams.part('create-name').fill('refusing')
    await streams.part('create-type').selectOption('text/plain; charset=utf-8')
    await streams.part('create-send').click()
    await streams.page.getByRole('alert').filter({ hasText: 'exists' }).waitFor({ timeout: SOON_MS })
  })

  test('producers and readers are listed, and the export is downloaded', async () => {
    await create('looked-at', { type: 'text/plain' })
    const headers = { 'content-type': 'text/plain', 'producer-id': 'writer-7', 'producer-epoch': '2', 'producer-seq': '0' }
    assert.equal((await fetch(server.stream('looked-at'), { method: 'POST', headers, body: 'hello' })).status, 200)
    const streams = await open('stream=looked-at&live=ndjson')
    await streams.part('producers').getByText('writer-7').waitFor({ timeout: SOON_MS })
    await streams.part('readers').locator('.t-ndjson').waitFor({ timeout: SOON_MS })
    const link = await streams.part('json').getAttribute('href')
    const details = await (await fetch(server.url + link)).json()
    await until('the tail is the server\'s', SOON_MS, async () => (await streams.part('tail').innerText()) === details.nextOffset)
    assert.equal(details.producers[0].id, 'writer-7')
    const [download] = await Promise.all([streams.page.waitForEvent('download'), streams.part('export').click()])
    assert.match(await readFile(await download.path(), 'utf8'), /"data":"hello".*\n\{"end":/)
    await streams.part('curl-inspect').click()
    assert.equal(await streams.page.locator('.ways code').innerText(), `curl ${server.url}/v1/streams/looked-at`)
    assert.deepEqual(streams.pageErrors, [])
  })

  test('a fork begins with the content of its source, and each links to the other', async () => {
    await create('tree', { body: '[1,2,3]' })
    const streams = await open('stream=tree')
    await streams.waitForMessages(SOON_MS, ['3', '2', '1'])
    await streams.part('fork-name').fill('tree/branch')
    await streams.part('fork-at').fill('0000000000000004')
    await streams.part('fork-send').click()
    await until('the fork is shown', SOON_MS, async () => (await streams.part('look-name').innerText()) === 'tree/branch')
    await streams.waitForMessages(SOON_MS, ['2', '1'])
    await streams.page.getByTestId('look').getByRole('link', { name: 'tree', exact: true }).click()
    await streams.part('forks').getByText('tree/branch').waitFor({ timeout: SOON_MS })
    assert.deepEqual(streams.pageErrors, [])
  })

  test('closing and deleting require a confirmation, which the keyboard can cancel', async () => {
    await create('to-delete', { body: '[1]' })
    const streams = await open('stream=to-delete')
    await streams.part('close-ask').click()
    await until('the safe button has the focus', SOON_MS, () => streams.page.evaluate(() => document.activeElement.id === 'close-keep'))
    await streams.page.keyboard.press('Escape')
    await streams.part('close-ask').click()
    await streams.part('close-sure').click()
    await until('it is closed', SOON_MS, async () => (await fetch(server.stream('to-delete'), { method: 'HEAD' })).headers.get('stream-closed') === 'true')
    await until('the append box is gone', SOON_MS, async () => (await streams.part('append-text').count()) === 0)
    await streams.part('delete-ask').click()
    await until('the safe button has the focus', SOON_MS, () => streams.page.evaluate(() => document.activeElement.id === 'delete-keep'))
    await streams.page.keyboard.press('Enter')
    assert.equal((await fetch(server.stream('to-delete'), { method: 'HEAD' })).status, 200)
    await streams.part('delete-ask').click()
    await streams.part('delete-sure').click()
    await until('it is gone', SOON_MS, async () => (await fetch(server.stream('to-delete'), { method: 'HEAD' })).status === 404)
    await streams.waitForResult('to-delete', SOON_MS)
    await streams.waitForQuery('stream', undefined, SOON_MS)
    assert.deepEqual(streams.pageErrors, [])
  })

  test('navigation between both pages leaves no readers running', async () => {
    await create('between', { body: '[1]' })
    const streams = await open('stream=between')
    await streams.waitForMessages(SOON_MS, ['1'])
    await streams.part('race-it').click()
    await streams.part('verdict').waitFor({ timeout: SOON_MS })
    await until('the URL names the stream', SOON_MS, () => new URL(streams.page.url()).search === '?stream=between')
    await until('five lanes read it', SOON_MS, async () => {
      const details = await (await fetch(`${server.url}/v1/streams/between`)).json()
      return Object.values(details.readerCounts).filter((count) => count === 1).length === 4
    })
    await streams.part('nav-streams').click()
    await streams.part('stream-search').waitFor({ timeout: SOON_MS })
    await until('it has no readers', SOON_MS, async () => {
      const details = await (await fetch(`${server.url}/v1/streams/between`)).json()
      return details.readers.length === 0
    })
    await streams.page.goBack()
    await streams.part('verdict').waitFor({ timeout: SOON_MS })
    await streams.page.goBack()
    await streams.waitForMessages(SOON_MS, ['1'])
    await until('only this page reads it', SOON_MS, async () => {
      const details = await (await fetch(`${server.url}/v1/streams/between`)).json()
      return details.readers.length === 1 && details.readers[0].technique === 'sse'
    })
    assert.deepEqual(streams.pageErrors, [])
  })

  test('the page shows that the server is gone, and recovers', async () => {
    const ownServer = await Server.start()
    try {
      const streams = await open('', {}, ownServer)
      await streams.part('empty').waitFor({ timeout: SOON_MS })
      await ownServer.kill()
      await streams.part('gone').waitFor({ timeout: SOON_MS })
      await streams.waitForState('lost', SOON_MS)
      await ownServer.restart()
      await streams.waitForState('live', SOON_MS)
      await until('the notice is gone', SOON_MS, async () => (await streams.part('gone').count()) === 0)
      const own = streams.pageErrors.filter((error) => !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|Failed to load resource/.test(error))
      assert.deepEqual(own, [])
    } finally {
      await ownServer.stop()
    }
  })

  test('a lost server is reported once, without exceptions of the browser', async () => {
    const ending = await Server.start()
    try {
      const created = await fetch(ending.stream('one'), { method: 'PUT', headers: { 'content-type': JSON_TYPE }, body: '[1]' })
      assert.equal(created.status, 201)
      const streams = await open('stream=one', {}, ending)
      await streams.waitForMessages(SOON_MS, ['1'])
      await ending.kill()
      const seen = []
      await until('the page shows that the server is gone', SOON_MS, async () => {
        seen.push(await streams.part('follow-state').innerText())
        return (await streams.part('gone').count()) === 1
      })
      await pause(3_000)
      const words = await streams.page.locator('main').innerText()
      assert.equal(words.match(/does not respond/g).length, 1, words)
      for (const state of [...seen, words]) assert.doesNotMatch(state, /TypeError|Failed to fetch/)
    } finally {
      await ending.stop()
    }
  })

  test('a missing stream is shown once it is created', async () => {
    const streams = await open('stream=late/one')
    await streams.part('missing').waitFor({ timeout: SOON_MS })
    await create('late/one', { body: '["here"]' })
    await streams.waitForMessages(SOON_MS, ['"here"'])
  })

  test('a stream with a TTL is not followed automatically, as that would renew it', async () => {
    await create('expiring', { body: '[1]', headers: { 'stream-ttl': '3600' } })
    const streams = await open('stream=expiring')
    await streams.part('follow-toggle').waitFor({ timeout: SOON_MS })
    await pause(1_500)
    assert.deepEqual(await streams.messages(), [])
    await streams.part('follow-toggle').click()
    await streams.waitForMessages(SOON_MS, ['1'])
    assert.deepEqual(streams.pageErrors, [])
  })

  for (const theme of ['light', 'dark']) {
    for (const language of ['en', 'ko']) {
      test(`no serious accessibility violation: ${theme}, ${language}`, async () => {
        const name = await create(`axe/${theme}-${language}`, { body: '[1,2]' })
        const streams = await open(`stream=${name}&theme=${theme}&lang=${language}`, { colorScheme: theme })
        await streams.waitForMessages(SOON_MS, ['2', '1'])
        assert.equal(await streams.page.locator('html').getAttribute('lang'), language)
        const words = await streams.part('look').innerText()
        assert.equal(/[\uac00-\ud7a3]/.test(words), language === 'ko')
        assert.deepEqual(await seriousViolations(streams.page), [])
      })
    }
  }

  for (const [name, width, query, options] of [
    ['1440', 1440, '', {}],
    ['1440-dark', 1440, '&theme=dark', { colorScheme: 'dark' }],
    ['1440-korean', 1440, '&lang=ko', {}],
    ['320', 320, '', {}],
    ['320-dark-korean', 320, '&theme=dark&lang=ko', { colorScheme: 'dark' }],
    ['768', 768, '', {}],
  ]) {
    test(`nothing is wider than the window: ${name}`, async () => {
      const stream = `wide/${name}/${'x'.repeat(60)}`
      await create(stream, { body: JSON.stringify([{ long: 'y'.repeat(300) }, 2]) })
      const wider = () => streams.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      const streams = await open(`stream=${stream}${query}`, { viewport: { width, height: 900 }, ...options })
      await until('the messages are shown', SOON_MS, async () => (await streams.messages()).length === 2)
      for (const id of ['curl-append', 'curl-follow', 'delete-ask']) await streams.part(id).click()
      await streams.page.screenshot({ path: artifact(`streams-${name}.png`), fullPage: true })
      assert.equal(await wider(), 0, 'pixels wider than the window')
      await streams.page.goto(`${server.url}/?page=streams${query}`)
      await streams.waitForNames('the list', SOON_MS, (names) => names.length > 0)
      await streams.page.screenshot({ path: artifact(`streams-list-${name}.png`), fullPage: true })
      assert.equal(await wider(), 0, 'pixels wider than the window')
      assert.deepEqual(streams.pageErrors, [])
    })
  }
})

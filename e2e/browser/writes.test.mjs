// Writes of the dashboard: responses of proxies do not count as a success, and stream names are encoded correctly.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { RacePage } from '../lib/race-page.mjs'
import { StreamsPage } from '../lib/streams-page.mjs'
import { until } from '../lib/until.mjs'

/** Responses that no stream returns, with the text that the page must show for each. */
const FOREIGN_RESPONSES = [
  { status: 301, shown: '3xx', headers: { location: '/v1/clock?n=1' } },
  { status: 302, shown: '3xx', headers: { location: '/v1/clock?n=1' } },
  { status: 303, shown: '3xx', headers: { location: '/v1/clock?n=1' } },
  { status: 200, shown: '200', headers: { 'content-type': 'text/html' }, body: '<html>Welcome</html>' },
  { status: 202, shown: '202', headers: {} },
  { status: 201, shown: '201', headers: { 'stream-next-offset': 'now', 'stream-closed': 'false' } },
]

const server = await useServer()
const browser = useBrowser()

async function create(name, body) {
  const headers = { 'content-type': 'application/json' }
  assert.equal((await fetch(server.stream(name), { method: 'PUT', headers, body })).status, 201)
}

async function head(name) {
  return fetch(server.stream(name), { method: 'HEAD' })
}

/** Intercepts the page's writes to streams, like a proxy; returns a function that sets the response. */
async function interceptWrites(page) {
  let response
  await page.route('**/v1/stream/**', (route) => {
    if (['GET', 'HEAD'].includes(route.request().method())) return route.fallback()
    const { status, headers, body } = response
    return route.fulfill({ status, headers, body: body ?? '' })
  })
  return (next) => { response = next }
}

describe('the success of writes', { timeout: 600_000 }, () => {
  test('a response of a proxy is not a success of a write on the Streams page', async () => {
    await create('kept', '[1]')
    const streams = await browser.streams(server, 'stream=kept')
    await streams.waitForMessages(SOON_MS, ['1'])
    const respondWith = await interceptWrites(streams.page)
    const actions = {
      append: async () => {
        await streams.part('append-text').fill('{"n":2}')
        await streams.part('append-text').press('Enter')
      },
      fork: async () => {
        await streams.part('fork-name').fill('kept/branch')
        await streams.part('fork-send').click()
      },
      close: async () => {
        if (await streams.part('close-ask').count()) await streams.part('close-ask').click()
        await streams.part('close-sure').click()
      },
      delete: async () => {
        if (await streams.part('delete-ask').count()) await streams.part('delete-ask').click()
        await streams.part('delete-sure').click()
      },
    }
    for (const [name, act] of Object.entries(actions)) {
      for (const response of FOREIGN_RESPONSES) {
        respondWith(response)
        await act()
        const url = `${server.url}/v1/stream/kept`
        const alert = streams.page.getByRole('alert').filter({ hasText: response.shown }).filter({ hasText: url })
        await alert.first().waitFor({ timeout: SOON_MS })
        assert.equal(await streams.part('said').innerText(), '', `${name}: ${response.status}`)
        assert.equal(await streams.part('look-name').innerText(), 'kept')
      }
      // Removes the alert of this action.
      await streams.page.reload()
      await streams.waitForMessages(SOON_MS, ['1'])
    }
    assert.equal((await head('kept')).headers.get('stream-closed'), null)
    assert.equal((await head('kept/branch')).status, 404)

    await streams.part('new').click()
    await streams.part('create-name').fill('made')
    for (const response of FOREIGN_RESPONSES) {
      respondWith(response)
      await streams.part('create-send').click()
      const alert = streams.page.getByRole('alert').filter({ hasText: response.shown }).filter({ hasText: '/v1/stream/made' })
      await alert.first().waitFor({ timeout: SOON_MS })
      assert.equal(await streams.part('create-name').inputValue(), 'made')
      await streams.part('create-name').fill('made')
    }
    assert.equal((await head('made')).status, 404)
  })

  test('a response of a proxy is not a success of publishing on the Race page', async () => {
    await create('published', '[1]')
    const race = await browser.race(server, '?stream=published')
    await race.waitForState('live', SOON_MS)
    const respondWith = await interceptWrites(race.page)
    for (const response of FOREIGN_RESPONSES) {
      respondWith(response)
      await race.part('publish-text').fill('hello')
      await race.part('publish-send').click()
      const said = race.page.locator('.said.fault').filter({ hasText: response.shown }).filter({ hasText: '/v1/stream/published' })
      await said.waitFor({ timeout: SOON_MS })
      assert.equal(await race.part('publish-text').inputValue(), 'hello')
    }
    assert.deepEqual(await (await fetch(`${server.stream('published')}?offset=-1`)).json(), [1])
  })
})

describe('stream names on the page', { timeout: 600_000 }, () => {
  const NAMES = ['disk 90%', 'topic+one', '%41', 'a%2Fb', '100%25', 'q?x=1#y', 'a&b=c', 'quo"ted\'s', 'back\\slash', '<b>', '한국어/é😀', '..a', 'a..b/...']

  test('a name is the same in the list, in reads and in appends', async () => {
    const streams = await browser.streams(server)
    for (const name of NAMES) {
      if (await streams.part('new').count()) await streams.part('new').click()
      await streams.part('create-name').fill(name)
      await streams.part('create-first').fill('[1]')
      await streams.part('create-send').click()
      await until(`${name} is shown`, SOON_MS, async () => (await streams.part('look-name').count()) > 0 && (await streams.part('look-name').innerText()) === name)
      await streams.waitForMessages(SOON_MS, ['1'])
      await streams.part('append-text').fill('2')
      await streams.part('append-text').press('Enter')
      await streams.waitForMessages(SOON_MS, ['2', '1'])
      const path = name.split('/').map(encodeURIComponent).join('/')
      assert.deepEqual(await (await fetch(`${server.stream(path)}?offset=-1`)).json(), [1, 2], name)
      // The link opens the same stream.
      await streams.page.reload()
      await streams.waitForMessages(SOON_MS, ['2', '1'])
      assert.equal(await streams.part('look-name').innerText(), name)
    }
    const { streams: listed } = await (await fetch(`${server.url}/v1/streams?limit=100`)).json()
    const names = listed.map(({ name }) => name)
    for (const name of NAMES) assert.ok(names.includes(name), `${name} is not in ${JSON.stringify(names)}`)
    const linked = await StreamsPage.open(streams.page.context(), server, 'stream=topic+one')
    await linked.waitForMessages(SOON_MS, ['2', '1'])
  })

  test('an invalid name is refused without a request', async () => {
    await create('victim', '[1]')
    const streams = await browser.streams(server)
    const requests = []
    streams.page.on('request', (request) => {
      if (/\/v1\/(stream|streams|export)\//.test(request.url()) || request.method() !== 'GET') requests.push(`${request.method()} ${request.url()}`)
    })
    const invalid = ['users/../victim', '../streams', '..', 'a/./b', 'a//b', '__ds/subscriptions/x', 'x'.repeat(513), Array(17).fill('a').join('/')]
    await streams.part('new').click()
    for (const name of invalid) {
      await streams.part('create-name').fill('')
      await until('no alert', SOON_MS, async () => (await streams.page.getByRole('alert').allInnerTexts()).every((text) => text === ''))
      await streams.part('create-name').fill(name)
      await streams.part('create-send').click()
      await streams.page.getByRole('alert').filter({ hasText: /\S/ }).first().waitFor({ timeout: SOON_MS })
    }
    for (const name of invalid) {
      await streams.page.goto(`${server.url}/?page=streams&stream=${encodeURIComponent(name)}`)
      await streams.page.getByTestId('look').locator('.fault').filter({ hasText: /\S/ }).first().waitFor({ timeout: SOON_MS })
    }
    assert.deepEqual(requests, [])
    for (const name of invalid) {
      const race = await RacePage.open(streams.page.context(), server, `?stream=${encodeURIComponent(name)}`)
      const reads = []
      race.page.on('request', (request) => { if (request.url().includes('/v1/stream/')) reads.push(request.url()) })
      await race.page.locator('.notice').waitFor({ timeout: SOON_MS })
      assert.deepEqual(reads, [], name)
      await race.page.close()
    }
    assert.deepEqual(await (await fetch(`${server.stream('victim')}?offset=-1`)).json(), [1])
  })
})

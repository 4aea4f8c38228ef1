// Subscriptions on the Streams page: the list, and how one is created, shown, paused, resumed and deleted.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { until } from '../lib/until.mjs'

const server = await useServer()
const browser = useBrowser()

async function create(name, body) {
  const headers = { 'content-type': 'application/json' }
  assert.equal((await fetch(server.stream(name), { method: 'PUT', headers, body })).status, 201, name)
}

const subscriptions = server.stream('__ds/subscriptions')

async function subscribe(id, pattern) {
  const body = JSON.stringify({ type: 'pull-wake', pattern, wake_stream: 'wake/all' })
  assert.equal((await fetch(`${subscriptions}/${encodeURIComponent(id)}`, { method: 'PUT', body })).status, 201, id)
}

async function unsubscribe(...ids) {
  for (const id of ids) await fetch(`${subscriptions}/${encodeURIComponent(id)}`, { method: 'DELETE' })
}

describe('subscriptions on the Streams page', { timeout: 900_000 }, () => {
  test('a subscription is created, shown with its cursors, and deleted', async () => {
    await create('jobs/one', '[1]')
    await create('wake/jobs')
    const streams = await browser.streams(server)
    await streams.part('subscriptions').click()
    await streams.part('subscription-id').fill('worker pool')
    await streams.part('subscription-kind').selectOption('pull-wake')
    await streams.part('subscription-pattern').fill('jobs/**')
    await streams.part('subscription-target').fill('wake/jobs')
    await streams.part('subscription-create').click()
    await streams.part('cursors').getByText('jobs/one').waitFor({ timeout: SOON_MS })
    assert.match(await streams.part('subscription-state').innerText(), /^active, 1 stream, /)
    await streams.waitForQuery('subscription', 'worker pool', SOON_MS)
    await streams.page.reload()
    await streams.part('cursors').getByText('jobs/one').waitFor({ timeout: SOON_MS })
    await streams.part('subscription-list').getByText('worker pool').waitFor({ timeout: SOON_MS })
    // What is shown is deleted, whatever has been typed since.
    await streams.part('subscription-id').fill('another')
    await streams.part('curl-unsubscribe').click()
    await streams.page.getByText(`curl -X DELETE ${subscriptions}/worker%20pool`).waitFor({ timeout: SOON_MS })
    await streams.part('unsubscribe-ask').click()
    const alerts = streams.page.getByRole('alert')
    await alerts.filter({ hasText: 'the subscription worker pool' }).waitFor({ timeout: SOON_MS })
    await streams.part('unsubscribe-sure').click()
    await streams.waitForResult('The subscription worker pool is deleted.', SOON_MS)
    assert.equal((await fetch(`${subscriptions}/worker%20pool`)).status, 404)
    await streams.page.getByText('There are no subscriptions.').waitFor({ timeout: SOON_MS })
    await streams.waitForQuery('subscription', undefined, SOON_MS)
    for (const part of ['cursors', 'unsubscribe-ask']) assert.equal(await streams.part(part).count(), 0, part)
    assert.deepEqual((await alerts.allInnerTexts()).filter(Boolean), [])
    assert.deepEqual(streams.pageErrors, [])
  })

  test('a link to a subscription requests the list once', async () => {
    await subscribe('linked', 'linked/*')
    const { page } = await browser.streams(server)
    const requests = []
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(`${server.url}/?page=streams&subscription=linked`)
    await page.getByTestId('subscription-list').getByRole('button', { name: 'linked' }).waitFor({ timeout: SOON_MS })
    await page.getByTestId('subscription-state').waitFor({ timeout: SOON_MS })
    await unsubscribe('linked')
    assert.equal(requests.filter((url) => url === subscriptions).length, 1)
  })

  test('an older list does not replace a newer one', async () => {
    const streams = await browser.streams(server)
    await streams.part('subscriptions').click()
    await streams.page.getByText('There are no subscriptions.').waitFor({ timeout: SOON_MS })
    let release
    await streams.page.route(subscriptions, async (route) => {
      const response = await route.fetch()
      // The page may have aborted the request.
      release = () => route.fulfill({ response }).catch(() => {})
    }, { times: 1 })
    await streams.part('subscriptions-refresh').click()
    await until('a response is held', SOON_MS, () => release)
    await subscribe('newer', 'newer/*')
    await streams.part('subscriptions-refresh').click()
    const row = streams.part('subscription-list').getByRole('button', { name: 'newer' })
    await row.waitFor({ timeout: SOON_MS })
    await release()
    await streams.page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)) }))
    await unsubscribe('newer')
    assert.equal(await row.count(), 1)
  })

  test('a response that arrives after a stream was opened changes nothing', async () => {
    await create('opened', '[1]')
    await subscribe('left', 'left/*')
    for (const act of ['subscription-create', 'unsubscribe-sure']) {
      const streams = await browser.streams(server, 'subscription=left')
      await streams.part('unsubscribe-ask').click()
      let release
      await streams.page.route(`${subscriptions}/left`, async (route) => {
        const response = await route.fetch()
        release = () => route.fulfill({ response })
      }, { times: 1 })
      await streams.part('subscription-pattern').fill('left/*')
      await streams.part('subscription-target').fill('wake/all')
      await streams.part('subscription-kind').selectOption('pull-wake')
      await streams.part(act).click()
      await until('a response is held', SOON_MS, () => release)
      await streams.page.getByTestId('row').filter({ hasText: 'opened' }).click()
      await streams.waitForMessages(SOON_MS, ['1'])
      await release()
      await streams.part('follow-toggle').click()
      await streams.part('follow-state').getByText('Not following').waitFor({ timeout: SOON_MS })
      assert.deepEqual(streams.query(), { stream: 'opened' })
      assert.deepEqual(streams.pageErrors, [])
    }
  })

  test('a page that was left requests nothing after a change that was in progress', async () => {
    await subscribe('kept', 'kept/*')
    const streams = await browser.streams(server, 'subscription=kept')
    let release
    await streams.page.route(`${subscriptions}/kept/pause`, async (route) => {
      const response = await route.fetch()
      release = () => route.fulfill({ response })
    })
    await streams.part('subscription-pause').click()
    await until('a response is held', SOON_MS, () => release)
    await streams.part('nav-race').click()
    await streams.part('verdict').waitFor({ timeout: SOON_MS })
    const lists = []
    streams.page.on('request', (request) => { if (request.url().includes('/v1/streams?')) lists.push(request.url()) })
    await release()
    await streams.page.waitForTimeout(1_000)
    assert.deepEqual(lists, [])
    await unsubscribe('kept')
  })

  test('subscriptions are listed; a click shows one, and it is paused and resumed', async () => {
    await create('wake/all')
    const streams = await browser.streams(server)
    await streams.part('subscriptions').click()
    await streams.page.getByText('There are no subscriptions.').waitFor({ timeout: SOON_MS })
    await subscribe('idle', 'idle/*')
    await subscribe('late one', 'late/**')
    await create('late/a', '[1]')
    await create('late/b', '[2]')
    await streams.part('subscriptions-refresh').click()
    const cells = async (id) => {
      const row = streams.part('subscription-list').getByRole('row').filter({ hasText: id })
      return (await row.getByRole('cell').allInnerTexts()).map((text) => text.trim())
    }
    const shows = (id, expected) => until(`${id} is ${expected}`, SOON_MS, async () => {
      const shown = await cells(id)
      return expected.every((text, at) => text === shown[at])
    })
    await shows('idle', ['pull-wake', 'idle/*', 'active', '0', ''])
    await shows('late one', ['pull-wake', 'late/**', 'active', '2', ''])

    await streams.part('subscription-list').getByRole('button', { name: 'late one' }).click()
    await streams.part('cursors').getByText('late/b').waitFor({ timeout: SOON_MS })
    await streams.waitForQuery('subscription', 'late one', SOON_MS)
    const toggle = streams.part('subscription-pause')
    assert.equal(await toggle.innerText(), 'Pause')
    // The command is that of the subscription that is shown, whatever has been typed since.
    await streams.part('subscription-id').fill('another')
    await streams.part('curl-subscription-pause').click()
    await streams.page.getByText(`curl -X POST ${subscriptions}/late%20one/pause`).waitFor({ timeout: SOON_MS })
    await toggle.click()
    await shows('late one', ['pull-wake', 'late/**', 'paused', '2', ''])
    assert.match(await streams.part('subscription-state').innerText(), /^paused, 2 streams, /)
    assert.equal(await toggle.innerText(), 'Resume')
    assert.ok(await toggle.evaluate((button) => button === document.activeElement), 'the focus is kept')
    const claim = () => fetch(`${subscriptions}/late%20one/claim`, { method: 'POST', body: '{"worker":"w"}' })
    assert.equal((await (await claim()).json()).error.code, 'SUBSCRIPTION_PAUSED')
    await toggle.click()
    await shows('late one', ['pull-wake', 'late/**', 'active', '2', ''])
    assert.equal((await claim()).status, 200)
    await unsubscribe('idle', 'late one')
    assert.deepEqual(streams.pageErrors, [])
  })
})

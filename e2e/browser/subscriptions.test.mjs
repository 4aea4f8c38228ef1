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
    await streams.part('unsubscribe-ask').click()
    await streams.part('unsubscribe-sure').click()
    await streams.page.getByRole('alert').filter({ hasText: 'worker pool' }).waitFor({ timeout: SOON_MS })
    assert.equal((await fetch(`${server.stream('__ds/subscriptions')}/worker%20pool`)).status, 404)
  })

  test('subscriptions are listed; a click shows one, and it is paused and resumed', async () => {
    const subscriptions = server.stream('__ds/subscriptions')
    const subscribe = async (id, pattern) => {
      const body = JSON.stringify({ type: 'pull-wake', pattern, wake_stream: 'wake/listed' })
      assert.equal((await fetch(`${subscriptions}/${encodeURIComponent(id)}`, { method: 'PUT', body })).status, 201, id)
    }
    await create('wake/listed')
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
    for (const id of ['idle', 'late%20one']) await fetch(`${subscriptions}/${id}`, { method: 'DELETE' })
    assert.deepEqual(streams.pageErrors, [])
  })
})

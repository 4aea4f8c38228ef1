// A link that holds a result: it shows the figures that were copied, without a race, and they lie beside those measured here.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { RacePage, TECHNIQUES } from '../lib/race-page.mjs'
import { until } from '../lib/until.mjs'

/** What a card shows of a lane, by test id. */
const FIGURES = ['p50', 'p99', 'events', 'bytes', 'requests', 'empty', 'lost', 'repeated']

const server = await useServer()
const browser = useBrowser()

/** Measures a race, pauses it, and copies the link to its result; returns the link, what the page showed, and its context. */
async function copied() {
  const permissions = ['clipboard-read', 'clipboard-write']
  const race = await browser.race(server, '?up=5&down=5', { acceptDownloads: true, permissions })
  await race.allLanes('every lane has twenty events', 'events', SOON_MS, (events) => events >= 20)
  await race.part('pause').click()
  const shown = await figures(race)
  await race.part('copy-result').click()
  let link = ''
  await until('the link is in the clipboard', SOON_MS, async () => {
    link = await clipboard(race)
    return link.includes('#result=')
  }, () => link)
  await race.page.evaluate(() => navigator.clipboard.writeText(''))
  assert.ok(link.startsWith(`${server.url}/?up=5&down=5#result=`), link)
  assert.ok(link.length < 4_200, `${link.length} characters`)
  await race.page.close()
  return { link, shown, context: race.page.context() }
}

function clipboard(race) {
  return race.page.evaluate(() => navigator.clipboard.readText())
}

/** What the sentence and the cards say. */
async function figures(race) {
  const shown = { verdict: await race.part('verdict').innerText() }
  for (const technique of TECHNIQUES) {
    for (const id of FIGURES) shown[`${technique} ${id}`] = await race.part(`card-${technique}`).getByTestId(id).innerText()
  }
  return shown
}

/** Points at the distribution, and waits until the values below it match. */
async function valuesMatch(race, words) {
  await race.part('distribution').hover({ position: { x: 400, y: 20 } })
  let seen = ''
  await until(`the values match ${words}`, SOON_MS, async () => {
    seen = await race.page.locator('#distribution-values').textContent()
    return words.test(seen)
  }, () => seen)
}

/** Opens a link in a new tab, and notes what it requests under `/v1/` while `isBlocked()`; those requests fail. */
async function openLink(context, link, isBlocked) {
  const race = new RacePage(await context.newPage())
  const requested = []
  await race.page.route('**/v1/**', (route) => {
    if (!isBlocked()) return route.continue()
    requested.push(route.request().url())
    return route.abort()
  })
  await race.page.goto(link)
  await race.part('verdict').waitFor({ timeout: SOON_MS })
  return { race, requested }
}

describe('a link that holds a result', { timeout: 600_000 }, () => {
  test('shows what was copied, requests nothing, and is compared with what is measured here', async () => {
    const { link, shown, context } = await copied()
    let isBlocked = true
    const { race, requested } = await openLink(context, link, () => isBlocked)
    await race.part('saved-result').waitFor({ timeout: SOON_MS })
    assert.deepEqual(await figures(race), shown)
    await race.page.keyboard.press('Space')
    await race.page.keyboard.press('1')
    await race.page.waitForTimeout(2_000)
    assert.deepEqual(await figures(race), shown)
    assert.deepEqual(requested, [])
    assert.equal(race.page.workers().length, 0)
    assert.match(await race.part('saved-result').innerText(), /lab\/host.*5 ms \+ 5 ms.*127\.0\.0\.1.*Tailwater \d+\.\d+/s)
    await race.page.locator('.skip').focus()
    await race.page.keyboard.press('Enter')
    assert.equal(await race.page.evaluate(() => document.activeElement.id), 'stage')
    assert.equal(race.page.url(), link, 'skipping keeps the result in the address')
    assert.ok(await race.part('distribution').isVisible())
    assert.ok(!(await race.part('sequence').isVisible()))
    for (const id of ['export-json', 'export-csv', 'export-samples', 'export-har']) {
      assert.ok(await race.part(id).isDisabled(), id)
      assert.match(await race.part(id).getAttribute('title'), /does not hold/)
    }
    await valuesMatch(race, /^within [\d.,]+ ms;\n.*Polling: measured \d+\.\d %, predicted \d+\.\d %/)
    const [download] = await Promise.all([race.page.waitForEvent('download'), race.part('export-png').click()])
    assert.match(download.suggestedFilename(), /^tailwater-lab-host\.png$/)
    await race.part('copy-result').click()
    await until('the same link is copied again', SOON_MS, async () => (await clipboard(race)) === link)

    isBlocked = false
    await race.part('saved-action').click()
    await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
    assert.ok(!race.page.url().includes('#'), race.page.url())
    for (const technique of TECHNIQUES) {
      const saved = await race.part(`card-${technique}`).getByTestId('saved-p50').innerText()
      assert.equal(saved, `${shown[`${technique} p50`]} ms`)
    }
    await valuesMatch(race, /Polling: measured \d+\.\d %, predicted \d+\.\d %, saved \d+\.\d %/)
    await race.part('saved-action').click()
    await race.part('saved-result').waitFor({ state: 'detached', timeout: SOON_MS })
    assert.equal(await race.part('saved-p50').count(), 0)
  })

  test('that is damaged says so, and the page measures', async () => {
    const context = await browser.context()
    for (const fragment of ['AQAAAAAA', '_wAAAAAA', '']) {
      const { race } = await openLink(context, `${server.url}/#result=${fragment}`, () => false)
      assert.match(await race.part('link-error').innerText(), /can't be read/)
      await race.allLanes('every lane has an event', 'events', SOON_MS, (events) => events >= 1)
      await race.page.close()
    }
  })

  test('cannot be copied before there is a result', async () => {
    const race = await browser.race(server, '?stream=missing')
    await race.page.locator('.notice').waitFor({ timeout: SOON_MS })
    assert.ok(await race.part('copy-result').isDisabled())
  })
})

// Accessibility of the dashboard in Chromium: keyboard, colours, languages, addresses and screen sizes.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { artifact } from '../lib/artifacts.mjs'
import { seriousViolations } from '../lib/axe.mjs'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { RacePage } from '../lib/race-page.mjs'
import { Server } from '../lib/server.mjs'
import { StreamsPage } from '../lib/streams-page.mjs'
import { pause, until } from '../lib/until.mjs'

const LOOKS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  forced: { colorScheme: 'light', forcedColors: 'active' },
  'forced-dark': { colorScheme: 'dark', forcedColors: 'active' },
}

const server = await useServer()
const browser = useBrowser()

before(async () => {
  for (const name of ['access/one', 'access/two']) await create(name)
})

async function create(name) {
  const headers = { 'content-type': 'application/json' }
  const created = await fetch(server.stream(name), { method: 'PUT', headers, body: '[1,2]' })
  assert.equal(created.status, 201)
}

/** A Race page in a new context, without stored or cached data. */
function race(query = '', options = {}) {
  return browser.race(server, query, options)
}

/** The id of the focused element, or its tag name. */
async function focused(page) {
  return page.evaluate(() => document.activeElement.id || document.activeElement.tagName)
}

/** The contrast ratio (WCAG 2.2) of a colour of an element to the ground of the page. */
function contrast(locator, property) {
  return locator.evaluate((element, property) => {
    const luminance = (colour) => {
      const canvas = new OffscreenCanvas(1, 1).getContext('2d')
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      const linear = [...canvas.getImageData(0, 0, 1, 1).data.subarray(0, 3)]
        .map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
    const colours = [getComputedStyle(element)[property], getComputedStyle(document.documentElement).backgroundColor]
    const [lighter, darker] = colours.map(luminance).sort((one, other) => other - one)
    return (lighter + 0.05) / (darker + 0.05)
  }, property)
}

/** Checks the contrast of the borders of these parts of a page. */
async function assertBorders(page, ids) {
  for (const id of ids) {
    const ratio = await contrast(page.part(id), 'borderTopColor')
    assert.ok(ratio >= 3, `the border of ${id} has ${ratio}:1`)
  }
}

async function lang(page) {
  return page.locator('html').getAttribute('lang')
}

describe('accessibility of the dashboard', { timeout: 900_000 }, () => {
  for (const [look, options] of Object.entries(LOOKS)) {
    test(`no serious accessibility violation on any page: ${look}`, async () => {
      const one = await race('', options)
      await one.waitForState('live', SOON_MS)
      await one.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 4)
      await one.page.screenshot({ path: artifact(`access-race-${look}.png`), fullPage: true })
      assert.deepEqual(await seriousViolations(one.page), [], 'Race')
      await one.page.keyboard.press('?')
      await one.part('shortcuts').waitFor()
      assert.deepEqual(await seriousViolations(one.page), [], 'help')
      const two = await StreamsPage.open(one.page.context(), server, 'stream=access/one&live=sse')
      await two.waitForMessages(SOON_MS, ['2', '1'])
      await two.page.screenshot({ path: artifact(`access-streams-${look}.png`), fullPage: true })
      assert.deepEqual(await seriousViolations(two.page), [], 'Streams')
      await two.page.goto(`${server.url}/nothing`)
      await two.part('not-found').waitFor()
      await two.page.screenshot({ path: artifact(`access-404-${look}.png`), fullPage: true })
      assert.deepEqual(await seriousViolations(two.page), [], '404')
    })
  }

  test('with forced colours, selected and switched-on elements differ from others', async () => {
    const one = await race('?lanes=PLN', LOOKS.forced)
    await one.waitForState('live', SOON_MS)
    await pause(1_000)
    const ground = (locator) => locator.evaluate((element) => getComputedStyle(element).backgroundColor)
    const [on, off] = [one.part('card-poll'), one.part('card-websocket')].map((card) => card.locator('.switch'))
    assert.notEqual(await ground(on), await ground(off))
    assert.notEqual(await ground(one.part('nav-race')), await ground(one.part('nav-streams')))
    const colours = await one.part('sequence').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      let [painted, coloured] = [0, 0]
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 0) continue
        painted += 1
        if (Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 8) coloured += 1
      }
      return { painted, coloured }
    })
    assert.ok(colours.painted > 1_000, `painted ${colours.painted} pixels`)
    assert.equal(colours.coloured, 0, 'pixels that are not in forced colours')
    const two = await StreamsPage.open(one.page.context(), server, 'stream=access/one&live=sse')
    await two.waitForMessages(SOON_MS, ['2', '1'])
    const rows = two.page.locator('[data-testid="row"]')
    const [chosen, other] = [rows.and(two.page.locator('[aria-current]')), rows.and(two.page.locator(':not([aria-current])')).first()]
    assert.notEqual(await ground(chosen), await ground(other))
    const techniques = two.page.locator('.techniques label')
    const [checked, unchecked] = [techniques.filter({ has: two.page.locator(':checked') }), techniques.filter({ hasNot: two.page.locator(':checked') }).first()]
    assert.notEqual(await ground(checked), await ground(unchecked))
  })

  for (const look of ['light', 'dark']) {
    test(`borders of fields have a contrast of 3:1, and the names of lanes of 4.5:1: ${look}`, async () => {
      const one = await race('', LOOKS[look])
      await one.waitForState('live', SOON_MS)
      await assertBorders(one, ['publish-text', 'path', 'up', 'pattern', 'pause'])
      const names = await one.page.locator('.names b').all()
      assert.equal(names.length, 5)
      for (const name of names) {
        const ratio = await contrast(name, 'color')
        assert.ok(ratio >= 4.5, `${await name.innerText()} has ${ratio}:1`)
      }
      const two = await StreamsPage.open(one.page.context(), server, 'stream=access/one')
      await two.waitForMessages(SOON_MS, ['2', '1'])
      await assertBorders(two, ['stream-search', 'sort', 'append-text', 'follow-from'])
    })
  }

  test('the status region changes at most every five seconds', async () => {
    const one = await race()
    await one.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 8)
    await one.part('status').evaluate((region) => {
      globalThis.announced = []
      new MutationObserver(() => globalThis.announced.push(performance.now()))
        .observe(region, { childList: true, characterData: true, subtree: true })
    })
    for (let change = 0; change < 8; change += 1) {
      await one.part('pause').click()
      await pause(1_500)
    }
    const times = await one.page.evaluate(() => globalThis.announced)
    assert.ok(times.length >= 2, `${times.length} announcements`)
    const gaps = times.slice(1).map((at, index) => at - times[index])
    assert.ok(gaps.every((gap) => gap > 4_500), JSON.stringify(gaps))
  })

  test('single-key shortcuts can be switched off, and stay off after a reload', async () => {
    const one = await race()
    await one.waitForState('live', SOON_MS)
    await one.part('help').click()
    await one.part('shortcuts').click()
    await one.page.keyboard.press('Escape')
    await until('the help button has the focus again', SOON_MS, async () =>
      one.part('help').evaluate((button) => button === document.activeElement))
    const nothingHappens = async () => {
      await one.page.evaluate(() => document.activeElement.blur())
      for (const key of ['p', ' ', '?', '1']) await one.page.keyboard.press(key)
      await pause(500)
      assert.equal(await focused(one.page), 'BODY')
      assert.equal(await one.state(), 'live')
      assert.equal(await one.page.locator('dialog[open]').count(), 0)
    }
    await nothingHappens()
    await one.page.reload()
    await one.waitForState('live', SOON_MS)
    await nothingHappens()
    await one.part('help').click()
    await one.part('shortcuts').click()
    await one.page.keyboard.press('Escape')
    // The event that the dialog is closed follows later.
    await until('the key works again', SOON_MS, async () => {
      await one.page.keyboard.press('p')
      return (await focused(one.page)) === 'publish-text'
    })
  })

  test('Escape removes the focus from a field, and a sent message is announced', async () => {
    const one = await race('?stream=access/two')
    await one.waitForState('live', SOON_MS)
    await one.publish('hello')
    await until('it is announced', SOON_MS, async () => (await one.part('published').innerText()) !== '')
    assert.equal(await one.part('published').getAttribute('role'), 'status')
    await one.part('publish-text').focus()
    await one.page.keyboard.press('Escape')
    assert.equal(await focused(one.page), 'BODY')
    await one.page.keyboard.press('Space')
    await one.waitForState('paused', SOON_MS)
    assert.deepEqual(one.pageErrors, [])
  })

  test('the focus moves on when a page is left or a stream is deleted', async () => {
    const one = await race()
    await one.waitForState('live', SOON_MS)
    await one.part('nav-streams').focus()
    await one.page.keyboard.press('Enter')
    const two = new StreamsPage(one.page)
    await two.waitForNames('the list', SOON_MS, (names) => names.length > 0)
    await until('the page has the focus', SOON_MS, async () => (await focused(one.page)) === 'page-name')
    await create('access/gone')
    await two.page.goto(`${server.url}/?page=streams&stream=access/gone`)
    await two.part('delete-ask').click()
    await two.part('delete-sure').click()
    await two.waitForResult('access/gone', SOON_MS)
    await until('the panel has the focus', SOON_MS, async () => (await focused(two.page)) !== 'BODY')
  })

  test('a closed stream keeps the focus on the panel, and offsets of messages are buttons with names', async () => {
    await create('access/closing')
    const one = await browser.streams(server, 'stream=access/closing')
    await one.waitForMessages(SOON_MS, ['2', '1'])
    const offset = await one.part('fork-here').first().innerText()
    await one.page.getByRole('button', { name: `Fork after this message, at ${offset}` }).waitFor({ timeout: SOON_MS })
    await one.part('close-ask').click()
    await until('the safe button has the focus', SOON_MS, async () => (await focused(one.page)) === 'close-keep', () => focused(one.page))
    await one.page.keyboard.press('Escape')
    await until('the first button has the focus again', SOON_MS, async () => (await focused(one.page)) === 'close-ask', () => focused(one.page))
    await one.part('close-ask').click()
    await one.part('close-sure').click()
    await one.waitForResult('access/closing', SOON_MS)
    await until('the panel has the focus', SOON_MS, async () => (await focused(one.page)) === 'chosen', () => focused(one.page))
  })

  test('a change of page adds an entry to the history', async () => {
    const one = await race('?window=12')
    await one.waitForState('live', SOON_MS)
    await one.part('nav-streams').click()
    await until('the address is updated', SOON_MS, () => one.page.url().includes('page=streams'))
    await one.page.goBack()
    await one.part('verdict').waitFor()
    assert.equal(new URL(one.page.url()).searchParams.get('window'), '12')
    assert.deepEqual(one.pageErrors, [])
  })

  test('the language of a link applies to one visit, a selected one to all', async () => {
    const one = await race('?lang=ko&theme=dark')
    assert.equal(await lang(one.page), 'ko')
    await one.part('nav-streams').click()
    await one.page.getByTestId('row').first().waitFor()
    assert.equal(await lang(one.page), 'ko')
    assert.equal(await one.page.locator('html').getAttribute('data-theme'), 'dark')
    const next = await RacePage.open(one.page.context(), server)
    assert.equal(await lang(next.page), 'en')
    assert.equal(await next.page.locator('html').getAttribute('data-theme'), 'auto')
    await next.part('language').selectOption('ko')
    await next.part('theme').selectOption('light')
    const later = await RacePage.open(one.page.context(), server)
    assert.equal(await lang(later.page), 'ko')
    assert.equal(await later.page.locator('html').getAttribute('data-theme'), 'light')
    assert.equal(new URL(later.page.url()).search, '')
  })

  test('an unknown path has a 404 page with links', async () => {
    const page = await (await browser.context()).newPage()
    const response = await page.goto(`${server.url}/foo/bar?lang=ko`)
    assert.equal(response.status(), 404)
    await page.getByTestId('not-found').waitFor()
    assert.match(await page.getByTestId('not-found').innerText(), /\/foo\/bar/)
    assert.equal(await lang(page), 'ko')
    await page.getByTestId('language').selectOption('en')
    assert.equal(new URL(page.url()).pathname, '/foo/bar')
    await page.getByTestId('not-found').getByTestId('nav-streams').click()
    await page.getByTestId('row').first().waitFor()
    assert.equal(new URL(page.url()).pathname, '/')
    await page.goBack()
    await page.getByTestId('not-found').waitFor()
    await page.getByTestId('nav-race').first().click()
    await page.getByTestId('verdict').waitFor()
    assert.equal((await fetch(`${server.url}/`)).status, 200)
  })

  test('a lost server is reported once, and the drawings do not move', async () => {
    const ending = await Server.start()
    try {
      const one = await browser.race(ending)
      await one.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 8)
      const top = () => one.part('sequence').evaluate((canvas) => canvas.getBoundingClientRect().top + window.scrollY)
      const before = await top()
      await ending.kill()
      const inCards = []
      await until('the page shows that the server is gone', SOON_MS, async () => {
        inCards.push(...await one.page.locator('.card .fault').allInnerTexts())
        return (await one.state()) === 'lost'
      })
      await one.part('notice').waitFor()
      await pause(3_000)
      inCards.push(...await one.page.locator('.card .fault').allInnerTexts())
      await one.page.screenshot({ path: artifact('access-lost.png') })
      assert.deepEqual(inCards, [])
      assert.equal(await one.part('notice').count(), 1)
      const seen = await one.page.locator('main').innerText()
      assert.equal(seen.match(/does not respond/g).length, 1, seen)
      assert.ok(Math.abs(await top() - before) < 1, `the picture moved from ${before} to ${await top()}`)
    } finally {
      await ending.stop()
    }
  })

  test('a notice does not move the drawings, and its button moves the focus', async () => {
    const one = await race('?stream=access/new')
    await one.part('create').click()
    await one.waitForState('live', SOON_MS)
    await until('the stage has the focus', SOON_MS, async () => (await focused(one.page)) === 'stage', () => focused(one.page))
    await one.part('notice').waitFor()
    const top = () => one.part('sequence').evaluate((canvas) => canvas.getBoundingClientRect().top + window.scrollY)
    const before = await top()
    await one.publish('hello')
    await until('the notice is gone', SOON_MS, async () => (await one.part('notice').count()) === 0)
    assert.ok(Math.abs(await top() - before) < 1, `the picture moved from ${before} to ${await top()}`)
  })

  test('the legend explains the drawing at every rate', async () => {
    const legend = (one) => one.page.locator('figure.sequence figcaption .hint').innerText()
    const legends = new Map()
    for (const rate of [3, 60, 1_500]) {
      const one = await race(`?source=generator&rate=${rate}`)
      await one.waitForState('live', SOON_MS)
      await until('the legend settles', SOON_MS, async () => {
        const words = await legend(one)
        const is_new = ![...legends.values()].includes(words)
        if (is_new) legends.set(rate, words)
        return is_new
      })
      assert.equal(await one.part('sequence').getAttribute('aria-label'), 'Requests, responses and events')
      await pause(2_000)
      await one.page.locator('figure.sequence').screenshot({ path: artifact(`access-legend-${rate}.png`) })
      await browser.closeContexts()
    }
    assert.equal(legends.size, 3)
  })

  test('the delay is shown above the cards, and a path sets it', async () => {
    const one = await race()
    await one.waitForState('live', SOON_MS)
    assert.equal(await one.part('path').inputValue(), 'country')
    assert.equal(await one.part('up').inputValue(), '20')
    const [path, card] = await Promise.all(['path', 'card-poll'].map((id) => one.part(id).boundingBox()))
    assert.ok(path.y + path.height <= card.y && card.y + card.height <= 900, `${JSON.stringify(path)} ${JSON.stringify(card)}`)
    await one.part('path').selectOption('continent')
    await until('the address is updated', SOON_MS, () => /up=75&down=75/.test(one.page.url()), () => one.page.url())
    await until('the figures are updated', SOON_MS, async () =>
      Number(await one.part('card-websocket').getByTestId('p50').innerText()) >= 75)
    await one.part('path').selectOption('machine')
    await until('the address is updated', SOON_MS, () => /up=0&down=0/.test(one.page.url()), () => one.page.url())
    await one.part('up').fill('7')
    await one.part('up').press('Enter')
    await until('no path is chosen', SOON_MS, async () => (await one.part('path').inputValue()) === '')
    assert.deepEqual(one.pageErrors, [])
  })

  test('in Korean no unit is separated from its number', async () => {
    const one = await race('?lang=ko')
    await one.allLanes('every lane receives', 'events', SOON_MS, (events) => events >= 8)
    for (const summary of await one.page.locator('figure summary').all()) await summary.click()
    const two = await StreamsPage.open(one.page.context(), server, 'stream=access/one&lang=ko')
    await two.waitForMessages(SOON_MS, ['2', '1'])
    for (const { page } of [one, two]) {
      const words = await page.locator('main').innerText()
      assert.match(words, /[\uac00-\ud7a3]/)
      assert.doesNotMatch(words, /\d (ms|s|min|h|d|B|kB|MB|GB|%|초|분|시간|일|개|회|건)(?![A-Za-z\uac00-\ud7a3])/)
    }
  })

  test('nothing is wider than a window of 320 pixels: help, forms, long names, 404', async () => {
    const assertFits = async (page, what) => {
      const wider = await page.evaluate(() => {
        const boxes = [document.documentElement, ...document.querySelectorAll('dialog[open]')]
        return boxes.map((box) => box.scrollWidth - box.clientWidth)
      })
      assert.deepEqual(wider.filter((pixels) => pixels > 0), [], `${what}: ${wider}`)
    }
    const one = await race('', { viewport: { width: 320, height: 700 } })
    await one.waitForState('live', SOON_MS)
    await one.page.keyboard.press('?')
    await one.part('shortcuts').waitFor()
    await assertFits(one.page, 'help of the Race page')
    await one.page.goto(`${server.url}/?stream=${'x'.repeat(300)}`)
    await one.part('create').waitFor()
    await assertFits(one.page, 'a long name of a stream')
    const two = await StreamsPage.open(one.page.context(), server)
    await two.part('new').click()
    await two.part('options').click()
    await assertFits(two.page, 'form')
    await two.part('subscriptions').click()
    await two.part('subscription-create').waitFor()
    await assertFits(two.page, 'subscriptions')
    await two.part('help').click()
    await assertFits(two.page, 'help of the Streams page')
    await two.page.goto(`${server.url}/${'nothing/'.repeat(20)}`)
    await two.part('not-found').waitFor()
    await assertFits(two.page, '404')
  })

  for (const [name, query] of [['race', '?'], ['streams', '?page=streams&stream=access/one']]) {
    test(`the full width of a 3840 pixel screen is used: ${name}`, async () => {
      const page = await (await browser.context({ viewport: { width: 3_840, height: 2_160 } })).newPage()
      await page.goto(`${server.url}/${query}`)
      await page.locator('main').waitFor()
      await pause(6_000)
      await page.screenshot({ path: artifact(`access-${name}-3840.png`) })
      const { width, wider } = await page.evaluate(() => ({
        width: document.querySelector('main').getBoundingClientRect().width,
        wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      }))
      assert.ok(width >= 3_000, `main is ${width} px wide`)
      assert.equal(wider, 0, 'pixels wider than the window')
      const canvas = await page.getByTestId('sequence').boundingBox().catch(() => null)
      if (name === 'race') assert.ok(canvas.width >= 2_400 && canvas.height >= 500, JSON.stringify(canvas))
    })
  }
})

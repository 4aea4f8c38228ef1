// The charts' values at pointer and keys, and the exports of pictures and requests.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { SOON_MS, useBrowser, useServer } from '../lib/hooks.mjs'
import { TECHNIQUES } from '../lib/race-page.mjs'
import { pause, until } from '../lib/until.mjs'

const CHARTS = ['sequence', 'waterfall', 'distribution']
const HINT = { en: /^Point at the chart/, ko: /^차트를 가리키거나/ }
const VALUES = {
  en: {
    sequence: /^−\d+\.\d{3} s;\n.*#\d+.*: due −\d+\.\d{3} s, received −\d+\.\d{3} s, latency [\d.,]+ ms/,
    waterfall: /^−\d+\.\d{3} s;\n.*#\d+: sent −\d+\.\d{3} s(, \d+)?, [\d.,]+ k?B, (open|lasted [\d.,]+ ms)/,
    distribution: /^within [\d.,]+ ms;\n.*: measured \d+\.\d %/,
  },
  ko: {
    sequence: /^−\d+\.\d{3}초;\n.*#\d+.*: 예정 −\d+\.\d{3}초, 도착 −\d+\.\d{3}초, 지연 [\d.,]+ms/,
    waterfall: /^−\d+\.\d{3}초;\n.*#\d+: 요청 −\d+\.\d{3}초(, \d+)?, [\d.,]+k?B, (진행 중|소요 시간 [\d.,]+ms)/,
    distribution: /^[\d.,]+ms 이내;\n.*: 측정 \d+\.\d%/,
  },
}

const server = await useServer()
const browser = useBrowser()

/** A running race with events in every lane. */
async function open(query = '', options = {}) {
  const race = await browser.race(server, query, { acceptDownloads: true, ...options })
  await race.allLanes('every lane has ten events', 'events', SOON_MS, (events) => events >= 10)
  return race
}

function values(race, chart) {
  return race.page.locator(`#${chart}-values`)
}

/** The line's distance from the left of its chart, or null without a line. */
function place(race, chart) {
  return race.part(chart).evaluate((canvas) => {
    const line = canvas.parentElement.querySelector('.line')
    return line.hidden ? null : line.getBoundingClientRect().left - canvas.getBoundingClientRect().left
  })
}

async function shows(race, chart, words) {
  let seen = ''
  await until(`${chart} shows ${words}`, SOON_MS, async () => words.test((seen = await values(race, chart).textContent())), () => seen)
}

describe('the charts', { timeout: 600_000 }, () => {
  for (const language of ['en', 'ko']) {
    for (const width of [320, 1440]) {
      test(`show their values at the pointer: ${language}, ${width} px`, async () => {
        const race = await open(`?lang=${language}`, { viewport: { width, height: 900 } })
        for (const chart of CHARTS) {
          await shows(race, chart, HINT[language])
          await race.part(chart).scrollIntoViewIfNeeded()
          const box = await race.part(chart).boundingBox()
          const x = Math.round(box.width * 0.6)
          await race.part(chart).hover({ position: { x, y: 20 } })
          await shows(race, chart, VALUES[language][chart])
          assert.ok(Math.abs((await place(race, chart)) - x) <= 1, 'the line is at the pointer')
          assert.equal(await values(race, chart).getAttribute('aria-live'), 'off')
        }
        const overflow = await race.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
        assert.ok(overflow <= 0, `the page is ${overflow} px too wide`)
        await race.page.mouse.move(0, 0)
        await shows(race, 'distribution', HINT[language])
        assert.deepEqual(race.pageErrors, [])
      })
    }
  }

  test('keys move the line by steps and to the ends, and Escape removes it', async () => {
    const race = await open()
    for (const chart of CHARTS) {
      const canvas = race.part(chart)
      await canvas.focus()
      assert.notEqual(await canvas.getAttribute('aria-label'), '')
      await canvas.press('Home')
      await shows(race, chart, /^(−8\.000 s|within 0\.\d ms)/)
      const left = await place(race, chart)
      assert.equal(await values(race, chart).getAttribute('aria-live'), 'polite')
      await canvas.press('ArrowRight')
      const step = (await place(race, chart)) - left
      assert.ok(step > 0.5, `a step of ${step} px`)
      await canvas.press('Shift+ArrowRight')
      assert.ok(Math.abs((await place(race, chart)) - left - 11 * step) < 0.5)
      await canvas.press('Shift+ArrowLeft')
      await canvas.press('ArrowLeft')
      assert.ok(Math.abs((await place(race, chart)) - left) < 0.1)
      await canvas.press('End')
      assert.ok(Math.abs((await place(race, chart)) - left - 200 * step) < 5, 'positions are rounded')
      await canvas.press('Escape')
      assert.equal(await place(race, chart), null)
    }
    assert.equal(await race.state(), 'live', 'the keys are the chart\'s own')
    assert.deepEqual(race.pageErrors, [])
  })

  test('a running chart moves below its line, a paused one keeps it', async () => {
    const race = await open()
    await race.part('sequence').focus()
    await race.part('sequence').press('ArrowLeft')
    const [at, first] = [await place(race, 'sequence'), await values(race, 'sequence').textContent()]
    await until('other values', SOON_MS, async () => (await values(race, 'sequence').textContent()) !== first)
    assert.equal(await place(race, 'sequence'), at)
    assert.equal(await values(race, 'sequence').getAttribute('aria-live'), 'off', 'a running chart is not read aloud')
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    await race.part('waterfall').hover({ position: { x: 400, y: 20 } })
    await shows(race, 'waterfall', VALUES.en.waterfall)
    const paused = await values(race, 'waterfall').textContent()
    await race.page.mouse.move(0, 0)
    await pause(1_000)
    assert.equal(await values(race, 'waterfall').textContent(), paused)
    await race.part('step').click()
    await race.page.keyboard.press('Shift+S')
    await race.page.keyboard.press('Shift+S')
    await until('the step moves the values', SOON_MS, async () => (await values(race, 'waterfall').textContent()) !== paused)
    assert.deepEqual(race.pageErrors, [])
  })

  test('a paused distribution follows its scale', async () => {
    const race = await open()
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    await race.part('distribution').focus()
    for (let step = 0; step < 5; step += 1) await race.part('distribution').press('ArrowLeft')
    await shows(race, 'distribution', VALUES.en.distribution)
    const linear = await values(race, 'distribution').textContent()
    await race.page.locator('.scale input').check()
    await until('the line is at another latency', SOON_MS, async () => (await values(race, 'distribution').textContent()) !== linear)
    assert.equal(await race.state(), 'paused')
    assert.deepEqual(race.pageErrors, [])
  })

  test('the line is visible in forced colours', async () => {
    const race = await open('', { forcedColors: 'active' })
    await race.part('sequence').focus()
    await race.part('sequence').press('End')
    const line = race.part('sequence').locator('xpath=following-sibling::*[contains(@class, "line")]')
    const [drawn, ground] = [
      await line.evaluate((it) => getComputedStyle(it).borderInlineStartColor),
      await race.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor),
    ]
    assert.notEqual(drawn, ground)
  })

  test('the charts are saved as one picture', async () => {
    const race = await open()
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    const [download] = await Promise.all([race.page.waitForEvent('download'), race.part('export-png').click()])
    assert.match(download.suggestedFilename(), /^tailwater-.*\.png$/)
    const file = await readFile(await download.path())
    assert.equal(file.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n')
    const heights = await Promise.all(CHARTS.map((chart) => race.part(chart).evaluate((canvas) => canvas.height)))
    const width = await race.part('sequence').evaluate((canvas) => canvas.width)
    assert.ok(Math.abs(file.readUInt32BE(16) - width) <= 1, `${file.readUInt32BE(16)} pixels wide, expected ${width}`)
    assert.ok(file.readUInt32BE(20) > heights.reduce((sum, height) => sum + height, 0))
    assert.deepEqual(race.pageErrors, [])
  })

  test('the requests are saved as HAR', async () => {
    const race = await open()
    await race.part('pause').click()
    await race.waitForState('paused', SOON_MS)
    const { name, text } = await race.export('export-har')
    assert.match(name, /\.har$/)
    const { log } = JSON.parse(text)
    assert.equal(log.version, '1.2')
    assert.deepEqual([...new Set(log.entries.map((entry) => entry._lane))], TECHNIQUES)
    for (const entry of log.entries) {
      const known = Object.values(entry.timings).filter((ms) => ms >= 0)
      assert.ok(Math.abs(known.reduce((sum, ms) => sum + ms, 0) - entry.time) < 0.01, JSON.stringify(entry))
      const age = Date.now() - Date.parse(entry.startedDateTime)
      assert.ok(age > -1_000 && age < 300_000, entry.startedDateTime)
      assert.match(entry.request.url, /^(http|ws):\/\/.*\/v1\/stream\/lab\/host$/)
      const bytes = entry._chunks.reduce((sum, chunk) => sum + chunk.bytes, 0)
      assert.equal(bytes, entry.response.content.size)
    }
    const live = log.entries.filter((entry) => entry._technique === 'sse')
    assert.ok(live.some((entry) => entry._open && entry._chunks.length > 1))
    assert.deepEqual(race.pageErrors, [])
  })
})

// Access to the Race page for tests: by the test ids of its parts, not by texts or styles.
import { until } from './until.mjs'

export const TECHNIQUES = ['poll', 'long-poll', 'ndjson', 'sse', 'websocket']

/** An open Race page, with its errors and warnings. */
export class RacePage {
  /** Errors and warnings of the page and of the browser's console. */
  pageErrors = []

  constructor(page) {
    this.page = page
    page.on('pageerror', (error) => this.pageErrors.push(`uncaught: ${error.message}`))
    page.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return
      this.pageErrors.push(`${message.type()}: ${message.text()} (${message.location().url})`)
    })
  }

  /** Opens the page of a server; `query` as in `?stream=...`. */
  static async open(context, server, query = '') {
    const race = new RacePage(await context.newPage())
    await race.page.goto(`${server.url}/${query}`)
    await race.part('verdict').waitFor({ timeout: 30_000 })
    return race
  }

  part(id) {
    return this.page.getByTestId(id)
  }

  /** The whole number in a part of a lane's card. */
  async number(technique, id) {
    const text = await this.part(`card-${technique}`).getByTestId(id).innerText()
    const digits = text.replaceAll(/[,.\s\u202f\u00a0]/g, '').match(/^\d+/)
    if (!digits) throw new Error(`${id} of ${technique} shows \`${text}\`, expected a whole number`)
    return Number(digits[0])
  }

  /** The numbers in a part of all lanes' cards: `{ poll: 3, ... }`. */
  async numbers(id) {
    const shown = {}
    for (const technique of TECHNIQUES) shown[technique] = await this.number(technique, id)
    return shown
  }

  /** Waits until a part of every lane satisfies `condition`; returns the numbers. */
  async allLanes(what, id, withinMs, condition) {
    let shown = {}
    await until(what, withinMs, async () => {
      shown = await this.numbers(id)
      return TECHNIQUES.every((technique) => condition(shown[technique], technique))
    }, () => JSON.stringify(shown))
    return shown
  }

  /** `connecting`, `live`, `paused`, `lost` or `reconnecting`. */
  async state() {
    return this.part('status').getAttribute('data-state')
  }

  async waitForState(state, withinMs) {
    let seen
    await until(`the page is ${state}`, withinMs, async () => (seen = await this.state()) === state, () => `(it is ${seen})`)
  }

  async publish(text) {
    await this.part('publish-text').fill(text)
    await this.part('publish-send').click()
  }

  /** Clicks an export and reads the downloaded file. */
  async export(id) {
    const [download] = await Promise.all([this.page.waitForEvent('download'), this.part(id).click()])
    const chunks = []
    for await (const chunk of await download.createReadStream()) chunks.push(chunk)
    return { name: download.suggestedFilename(), text: Buffer.concat(chunks).toString('utf8') }
  }

  /** Lanes with lost or repeated events. */
  async losses() {
    const [lost, repeated] = [await this.numbers('lost'), await this.numbers('repeated')]
    return TECHNIQUES.filter((technique) => lost[technique] + repeated[technique] > 0).map(
      (technique) => `${technique}: ${lost[technique]} lost, ${repeated[technique]} repeated`,
    )
  }
}

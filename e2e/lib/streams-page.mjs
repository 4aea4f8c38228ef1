// The Streams page as the tests see it: by the ids that its parts carry, never by its words or looks.
import { until } from './until.mjs'

/** One open Streams page, and everything it complained about. */
export class StreamsPage {
  /** What the browser's console and the page reported as wrong. */
  complaints = []

  constructor(page) {
    this.page = page
    page.on('pageerror', (error) => this.complaints.push(`uncaught: ${error.message}`))
    page.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return
      this.complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`)
    })
  }

  /** Opens the page of a server; `query` without `page=streams`. */
  static async open(context, server, query = '') {
    const streams = new StreamsPage(await context.newPage())
    await streams.page.goto(`${server.url}/?page=streams${query && `&${query}`}`)
    await streams.part('status').waitFor({ state: 'attached', timeout: 30_000 })
    return streams
  }

  part(id) {
    return this.page.getByTestId(id)
  }

  /** The names in the list, in their order. */
  async names() {
    return this.page.locator('[data-testid="row"] .name').allInnerTexts()
  }

  async waitForNames(what, withinMs, condition) {
    let seen = []
    await until(what, withinMs, async () => condition(seen = await this.names()), () => JSON.stringify(seen))
    return seen
  }

  /** The messages that are shown, the newest first. */
  async messages() {
    return this.page.locator('[data-testid="messages"] code').allInnerTexts()
  }

  async waitForMessages(withinMs, expected) {
    let seen = []
    await until('the messages are shown', withinMs, async () => {
      seen = await this.messages()
      return JSON.stringify(seen) === JSON.stringify(expected)
    }, () => JSON.stringify(seen))
  }

  /** `connecting`, `live` or `lost`. */
  async waitForState(state, withinMs) {
    let seen
    await until(`the page is ${state}`, withinMs, async () => (seen = await this.part('status').getAttribute('data-state')) === state,
      () => `(it is ${seen})`)
  }

  /** Waits until the last action is said with `words` in it. */
  async waitForSaid(words, withinMs) {
    let seen
    await until(`the page says ${words}`, withinMs, async () => (seen = await this.part('said').innerText()).includes(words), () => seen)
  }

  /** Waits until the address says `value` of `name`; it follows the page's state a moment later. */
  async waitForQuery(name, value, withinMs) {
    await until(`the address says ${name}=${value}`, withinMs, () => this.query()[name] === value, () => this.page.url())
  }

  /** What the address says beside the page. */
  query() {
    const query = new URL(this.page.url()).searchParams
    query.delete('page')
    return Object.fromEntries(query)
  }
}

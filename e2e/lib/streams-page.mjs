// Access to the Streams page for tests: by the test ids of its parts, not by texts or styles.
import { until } from './until.mjs'

/** An open Streams page, with its errors and warnings. */
export class StreamsPage {
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

  /** The names in the list, in order. */
  async names() {
    return this.page.locator('[data-testid="row"] .name').allInnerTexts()
  }

  async waitForNames(what, withinMs, condition) {
    let seen = []
    await until(what, withinMs, async () => condition(seen = await this.names()), () => JSON.stringify(seen))
    return seen
  }

  /** The shown messages, newest first. */
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

  /** Waits until the result of the last action contains `text`. */
  async waitForResult(text, withinMs) {
    let seen
    await until(`the page shows ${text}`, withinMs, async () => (seen = await this.part('said').innerText()).includes(text), () => seen)
  }

  /** Waits until the parameter `name` of the URL is `value`; the URL is updated after the page. */
  async waitForQuery(name, value, withinMs) {
    await until(`the URL has ${name}=${value}`, withinMs, () => this.query()[name] === value, () => this.page.url())
  }

  /** The parameters of the URL, except `page`. */
  query() {
    const query = new URL(this.page.url()).searchParams
    query.delete('page')
    return Object.fromEntries(query)
  }
}

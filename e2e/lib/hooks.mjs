// Hooks of node:test for browser tests: a server and Chromium that run while the tests of a file run.
import { after, afterEach, before } from 'node:test'
import { launch } from './chromium.mjs'
import { RacePage } from './race-page.mjs'
import { Server, freePort } from './server.mjs'
import { StreamsPage } from './streams-page.mjs'

/** Long, because a debug server and a browser may share two slow cores. */
export const SOON_MS = 30_000

const DEFAULTS = { viewport: { width: 1440, height: 900 }, locale: 'en-US' }

/** A server, with additional arguments of `tailwater serve`, that runs while the tests of the calling file run. */
export async function useServer(args = []) {
  const server = new Server(await freePort(), args)
  before(() => server.restart())
  after(() => server.stop())
  return server
}

/** A Chromium that runs while the tests of the calling file run; the contexts of a test are closed after it. */
export function useBrowser() {
  const browser = new TestBrowser()
  before(() => browser.start())
  afterEach(() => browser.closeContexts())
  after(() => browser.stop())
  return browser
}

class TestBrowser {
  #browser
  #contexts = []

  async start() {
    this.#browser = await launch()
  }

  async stop() {
    await this.#browser?.close()
  }

  async closeContexts() {
    for (const context of this.#contexts.splice(0)) await context.close()
  }

  /** A new context, without stored or cached data. */
  async context(options = {}) {
    const context = await this.#browser.newContext({ ...DEFAULTS, ...options })
    this.#contexts.push(context)
    return context
  }

  /** Opens the Race page of a server in a new context. */
  async race(server, query = '', options = {}) {
    return RacePage.open(await this.context(options), server, query)
  }

  /** Opens the Streams page of a server in a new context. */
  async streams(server, query = '', options = {}) {
    return StreamsPage.open(await this.context(options), server, query)
  }
}

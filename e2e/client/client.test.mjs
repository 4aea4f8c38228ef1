// The npm client @durable-streams/client with a server that is killed and restarted.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DurableStream, IdempotentProducer, stream as follow } from '@durable-streams/client'
import { Server } from '../lib/server.mjs'
import { pause, until } from '../lib/until.mjs'

const MESSAGES = 6_000
const KILLS = 6
const SOON_MS = 60_000
/** Short delays: by default the client's backoff grows to a minute. */
const BACKOFF = { initialDelay: 20, maxDelay: 200, multiplier: 2 }

/** A fetch that retries failed requests, because the client's producer does not. */
async function fetchWithRetries(...args) {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    const response = await fetch(...args).catch(() => undefined)
    if (response !== undefined && response.status !== 503) return response
    await pause(20)
  }
  throw new Error('no response after 1,000 attempts')
}

let folder
let server

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tailwater-'))
  server = await Server.start(['--store', 'disk', '--data-dir', join(folder, 'data'), '--recycle', '2s', '--long-poll-hold', '2s'])
})

after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Follows a stream like an application: keeps the offset of the items it has read, and continues there after a fault. */
class Follower {
  items = []
  faults = 0
  fault = undefined
  closed = false
  #offset = '-1'
  #stopped = new AbortController()

  constructor(url, live) {
    this.done = this.#run(url, live)
  }

  async #run(url, live) {
    while (!this.closed && !this.#stopped.signal.aborted) {
      try {
        await this.#session(url, live)
      } catch (fault) {
        this.faults += 1
        this.fault = fault
      }
      await pause(20)
    }
  }

  async #session(url, live) {
    const response = await follow({ url, live, offset: this.#offset, signal: this.#stopped.signal, json: true,
      backoffOptions: BACKOFF, sseResilience: { logWarnings: false }, warnOnHttp: false })
    response.subscribeJson(async (batch) => {
      this.items.push(...batch.items)
      this.#offset = batch.offset
      this.closed ||= batch.streamClosed === true
    })
    await response.closed
    this.closed ||= response.streamClosed === true
  }

  stop() {
    this.#stopped.abort()
  }
}

/** Fails with the first item that is not in the order 0, 1, 2, ... */
function checkItems(items, name) {
  const wrong = items.findIndex((item, at) => item.n !== at)
  assert.equal(wrong, -1, `${name}: item ${wrong} is ${JSON.stringify(items[wrong])}`)
  assert.equal(items.length, MESSAGES, name)
}

test('an idempotent producer and its readers lose and repeat nothing while the server is killed', { timeout: 300_000 }, async () => {
  const url = server.stream('client/it')
  const faults = []
  const handle = await DurableStream.create({ url, contentType: 'application/json', backoffOptions: BACKOFF, warnOnHttp: false })
  const producer = new IdempotentProducer(handle, 'writer', { lingerMs: 1, maxBatchBytes: 2_048, fetch: fetchWithRetries, onError: (fault) => faults.push(fault) })
  const followers = { 'long-poll': new Follower(url, 'long-poll'), sse: new Follower(url, 'sse') }
  for (let sent = 0, kills = 0; sent < MESSAGES;) {
    for (const end = sent + 20; sent < end; sent += 1) producer.append(JSON.stringify({ n: sent, text: 'x'.repeat(sent % 90) }))
    await pause(1)
    if (kills < KILLS && sent > ((kills + 1) * MESSAGES) / (KILLS + 2)) {
      kills += 1
      // During appends and responses.
      await server.kill()
      await server.restart()
      await until('the readers continue', SOON_MS, () => Object.values(followers).every(({ items }) => items.length > sent / 4),
        () => Object.entries(followers).map(([live, it]) => `${live}: ${it.items.length} of ${sent}, ${it.faults} faults, the last ${it.fault}`).join('; ') + ' producer: ' + faults.slice(0,3))
    }
  }
  await producer.flush()
  assert.deepEqual(faults, [], 'every append of the producer succeeded')
  await producer.close()
  for (const [live, follower] of Object.entries(followers)) {
    await until(`${live} has received everything`, SOON_MS, () => follower.items.length >= MESSAGES, () => `(${follower.items.length} of ${MESSAGES}, ${follower.faults} faults)`)
    checkItems(follower.items, live)
    follower.stop()
    await follower.done
  }
  const late = await follow({ url, live: false, json: true, warnOnHttp: false })
  checkItems(await late.json(), 'a later reader')
})

test('a restarted producer fences its predecessor, across a kill', { timeout: 120_000 }, async () => {
  const url = server.stream('client/epochs')
  const handle = await DurableStream.create({ url, contentType: 'application/json', backoffOptions: BACKOFF, warnOnHttp: false })
  const first = new IdempotentProducer(handle, 'writer', { epoch: 0 })
  first.append('"one"')
  await first.flush()
  await server.kill()
  await server.restart()
  const second = new IdempotentProducer(handle, 'writer', { epoch: 0, autoClaim: true })
  const third = new IdempotentProducer(handle, 'writer', { epoch: 7 })
  third.append('"two"')
  await third.flush()
  second.append('"three"')
  await second.flush()
  const faults = []
  const fenced = new IdempotentProducer(handle, 'writer', { epoch: 7, onError: (fault) => faults.push(fault) })
  fenced.append('"never"')
  await fenced.flush().catch(() => {})
  assert.equal(faults.length, 1, 'the append with the old sequence number is refused')
  const all = await follow({ url, live: false, json: true, warnOnHttp: false })
  assert.deepEqual(await all.json(), ['one', 'two', 'three'])
})

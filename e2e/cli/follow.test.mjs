// The command line, curl and an EventSource: every follower prints exactly the bytes that `tailwater append` appended.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { TECHNIQUES } from '../lib/race-page.mjs'
import { BINARY, Server, end, start } from '../lib/server.mjs'
import { SseReader } from '../lib/sse.mjs'
import { until } from '../lib/until.mjs'

const LINES = 100_000
const SOON_MS = 120_000

let server

before(async () => {
  server = await Server.start()
})

after(async () => {
  await server?.stop()
})

/** `seq first last`, as text. */
function seq(first, last) {
  let text = ''
  for (let n = first; n <= last; n += 1) text += `${n}\n`
  return text
}

/** Starts a command of the binary that uses the test's server. */
function tailwater(...args) {
  return start(BINARY, args, { env: { ...process.env, TAILWATER_SERVER: server.url } })
}

/** Appends `text` with `tailwater append` and waits until it succeeds. */
async function append(stream, text) {
  const child = tailwater('append', stream)
  child.stdin.end(text)
  const [code] = await once(child, 'exit')
  assert.equal(code, 0, child.errors)
  return child
}

/** Waits until a follower has printed as many characters as `expected`, then compares them. */
async function sameOutput(child, expected, name) {
  await until(`${name} has printed everything`, SOON_MS, () => child.output.length >= expected.length,
    () => `(${child.output.length} of ${expected.length} characters; exit ${child.exitCode}; ${child.errors})`)
  sameText(child.output, expected, name)
}

/** Like assert.equal, but reports the first difference of two long texts instead of both texts. */
function sameText(received, expected, name) {
  if (received !== expected) assert.fail(`${name}: ${firstDifference(received, expected)}`)
}

function firstDifference(received, expected) {
  let at = 0
  while (at < received.length && received[at] === expected[at]) at += 1
  return `differs at character ${at}: expected ${JSON.stringify(expected.slice(at, at + 30))}, got ${JSON.stringify(received.slice(at, at + 30))}`
}

/** The messages of a batch as lines, for any content type. */
function asLines(data) {
  if (Array.isArray(data)) return data.map((message) => `${typeof message === 'string' ? message : JSON.stringify(message)}\n`).join('')
  return data ?? ''
}

describe('append and tail', { timeout: 600_000 }, () => {
  test('five followers, curl and an EventSource print what was appended', async () => {
    const stream = 'logs/demo'
    const first = seq(1, 1_000)
    await append(stream, first)
    const followers = TECHNIQUES.map((technique) => tailwater('tail', stream, '--live', technique, '--from', '-1'))
    const curl = start('curl', ['--silent', '--no-buffer', `${server.stream(stream)}?offset=-1&live=ndjson`])
    const events = followEvents(stream)
    try {
      const rest = seq(1_001, LINES)
      await append(stream, rest)
      const expected = first + rest
      for (const [index, technique] of TECHNIQUES.entries()) await sameOutput(followers[index], expected, `tail --live ${technique}`)
      await until('the EventSource has received everything', SOON_MS, () => events.text().length >= expected.length, () => `(${events.text().length})`)
      sameText(events.text(), expected, 'EventSource')
      const lines = () => curl.output.slice(0, curl.output.lastIndexOf('\n')).split('\n').filter((line) => line !== '')
      const printed = () => lines().map((line) => asLines(JSON.parse(line).data)).join('')
      await until('curl has received everything', SOON_MS, () => printed().length >= expected.length)
      sameText(printed(), expected, 'curl')
    } finally {
      events.stop()
      for (const child of [...followers, curl]) await end(child)
    }
  })

  test('a killed follower continues at its offset after a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tailwater-'))
    for (const technique of TECHNIQUES) {
      const stream = `logs/killed-${technique}`
      const state = join(folder, technique)
      const follow = () => tailwater('tail', stream, '--live', technique, '--poll-interval', '50ms', '--state', state)
      await append(stream, seq(1, 10))
      const follower = follow()
      await until('the follower prints', SOON_MS, () => follower.output.length > 0, () => follower.errors)
      const appending = tailwater('append', stream)
      appending.stdin.write(seq(11, 10_000))
      await until('the follower prints more', SOON_MS, () => follower.output.length > 21, () => follower.errors)
      await end(follower, 'SIGKILL')
      appending.stdin.end(seq(10_001, 20_000))
      await once(appending, 'exit')
      const again = follow()
      const expected = seq(1, 20_000)
      await until(`${technique} has the rest`, SOON_MS, () => follower.output.length + again.output.length >= expected.length, () => again.errors)
      await end(again)
      const [before, after] = [follower.output, again.output]
      assert.ok(expected.startsWith(before), `${technique} printed the beginning before it was killed`)
      assert.ok(expected.endsWith(after), `${technique} printed the end afterwards`)
    }
    await rm(folder, { recursive: true })
  })

  test('followers end when the stream is closed', async () => {
    const stream = 'logs/closed'
    await append(stream, seq(1, 100))
    const followers = TECHNIQUES.map((technique) => tailwater('tail', stream, '--live', technique, '--from', '-1'))
    for (const follower of followers) await until('the follower prints', SOON_MS, () => follower.output.length > 0, () => follower.errors)
    const response = await fetch(server.stream(stream), { method: 'POST', headers: { 'stream-closed': 'true' } })
    assert.equal(response.status, 204)
    for (const [index, follower] of followers.entries()) {
      await until(`${TECHNIQUES[index]} ends`, SOON_MS, () => follower.exitCode !== null)
      assert.equal(follower.exitCode, 0, follower.errors)
      sameText(follower.output, seq(1, 100), TECHNIQUES[index])
    }
  })

  test('append reports the last acknowledged line when the server is gone', async () => {
    const child = tailwater('append', 'logs/gone', '--retry-for', '2s')
    child.stdin.write(seq(1, 10))
    await until('the lines are appended', SOON_MS, async () => {
      const response = await fetch(`${server.stream('logs/gone')}?offset=-1`)
      return response.ok && (await response.text()).includes('10')
    })
    await server.kill()
    child.stdin.on('error', () => {})
    child.stdin.end(seq(11, 20))
    await until('append ends', SOON_MS, () => child.exitCode !== null)
    await server.restart()
    assert.notEqual(child.exitCode, 0)
    assert.match(child.errors, /\b10\b/)
  })

  test('errors of invalid commands contain advice', () => {
    const errorOf = (...args) => {
      try {
        execFileSync(BINARY, args, { stdio: 'pipe', encoding: 'utf8' })
        return 'it succeeded'
      } catch (fault) {
        return fault.stderr
      }
    }
    const portInUse = errorOf('serve', '--listen', `127.0.0.1:${server.port}`)
    assert.match(portInUse, /--listen/)
    assert.match(errorOf('tail', 'logs/demo', '--live', 'no-such-technique'), /long-poll/)
    assert.match(errorOf('serve', '--long-poll-hold', 'soon'), /soon/)
  })
})

/** Follows by SSE from raw bytes, like the EventSource of a page; `text()` returns the received text. */
function followEvents(stream) {
  const controller = new AbortController()
  const { signal } = controller
  let text = ''
  const follow = async () => {
    const head = await fetch(server.stream(stream), { method: 'HEAD', signal })
    const isJson = (head.headers.get('content-type') ?? '').startsWith('application/json')
    let offset = '-1'
    // A streaming response ends about once a minute; an EventSource reconnects at its offset.
    for (;;) {
      const response = await fetch(`${server.stream(stream)}?offset=${offset}&live=sse`, { signal })
      const reader = new SseReader()
      for await (const piece of response.body) {
        for (const { event, data } of reader.feed(piece)) {
          if (event === 'data') text += isJson ? asLines(JSON.parse(data)) : data
          if (event === 'control') offset = JSON.parse(data).streamNextOffset
        }
      }
    }
  }
  let fault
  const done = follow().catch((reason) => { fault = reason })
  return {
    text: () => {
      if (fault && !signal.aborted) throw fault
      return text
    },
    stop: async () => {
      controller.abort()
      await done
    },
  }
}

// A server for a test: on a free port, ready when it is returned, ended with the script.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { until } from './until.mjs'

/** The binary under test. */
export const BINARY = process.env.TAILWATER_BIN ?? fileURLToPath(new URL('../../target/debug/tailwater', import.meta.url))

const READY_WITHIN_MS = 30_000
const running = new Set()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A free port of loopback. */
export async function freePort() {
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address()
  listener.close()
  await once(listener, 'close')
  return port
}

/** Starts a program that ends with this script; its output is collected in `output` and `errors`, unless `stdio` is set. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.output = ''
  child.errors = ''
  child.stdout?.on('data', (piece) => { child.output += piece })
  child.stderr?.on('data', (piece) => { child.errors += piece })
  return child
}

/** Sends a signal and waits until the process ends. */
export async function end(child, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

/** A server that can be killed and restarted on the same port. */
export class Server {
  #child
  #arguments

  constructor(port, args) {
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    // The memory store by default, so that no files remain.
    const store = args.some((arg) => /^--(store|data-dir)/.test(arg)) ? [] : ['--store', 'memory']
    this.#arguments = ['serve', '--listen', `127.0.0.1:${port}`, ...store, ...args]
  }

  /** Starts a server with additional arguments of `tailwater serve`. */
  static async start(args = []) {
    const server = new Server(await freePort(), args)
    await server.restart()
    return server
  }

  /** Starts it (again) and waits until it responds. */
  async restart() {
    const child = start(BINARY, this.#arguments)
    this.#child = child
    await until('the server responds', READY_WITHIN_MS, async () => {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${child.errors}`)
      return fetch(this.url).then(() => true, () => false)
    })
  }

  /** Kills it with SIGKILL. */
  async kill() {
    await end(this.#child, 'SIGKILL')
  }

  /** Stops it with SIGTERM. */
  async stop() {
    await end(this.#child, 'SIGTERM')
  }

  /** The URL of a stream. */
  stream(name) {
    return `${this.url}/v1/stream/${name}`
  }
}

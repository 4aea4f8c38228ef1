// Starts the installed Chromium for tests, without background network requests.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts Chromium; `CHROMIUM` is the path of another one than Debian's. */
export async function launch(moreFlags = []) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  if (!existsSync(executablePath)) throw new Error(`no Chromium at ${executablePath}; set CHROMIUM=/path/to/chromium`)
  return chromium.launch({ executablePath, args: [...FLAGS, ...moreFlags] })
}

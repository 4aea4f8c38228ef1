// The folder for screenshots of tests.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../artifacts/', import.meta.url))

/** The path of a file in `artifacts/`; creates the folder if it is missing. */
export function artifact(name) {
  mkdirSync(FOLDER, { recursive: true })
  return join(FOLDER, name)
}

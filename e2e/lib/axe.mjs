// Accessibility checks of an open page with axe.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The serious and critical violations on a page, one text each. */
export async function seriousViolations(page) {
  await page.evaluate(source)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document))
  return violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, help, nodes }) => `${id}: ${help} (${nodes.length}): ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join('; ')}`)
}

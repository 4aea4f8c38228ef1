// Waits for a condition with a deadline.

const INTERVAL_MS = 50

/** Calls `condition` until it returns a truthy value, and returns that; fails after `withinMs` with `what` and `describe()`. */
export async function until(what, withinMs, condition, describe = () => '') {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await condition()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what} ${await describe()}`.trim())
    await pause(INTERVAL_MS)
  }
}

/** Waits. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

// Waiting for something to become true, with a deadline and words for the failure.

const LOOK_EVERY_MS = 50

/** Looks until `condition` gives something truthy and returns that; fails with `what` and the last sight after `withinMs`. */
export async function until(what, withinMs, condition, describe = () => '') {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await condition()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what} ${describe()}`.trim())
    await pause(LOOK_EVERY_MS)
  }
}

/** Lets time pass. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
